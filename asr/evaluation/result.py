"""A result: all answers of one system, every number about them, and its file (JSON, CSV)."""

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from asr.data.lines import read_text
from asr.errors import ConfigError, ManifestError
from asr.evaluation.answers import Answer, answer_from_json, answer_to_json
from asr.evaluation.calibration import calibrate, judged_words
from asr.evaluation.datasets.reference import Problem
from asr.evaluation.groups import group_scores
from asr.evaluation.normalise import NORMALISERS, Rule, choose_normaliser
from asr.evaluation.scores import Score, Scored, score_answers, total_score
from asr.evaluation.word_kinds import confusions, out_of_vocabulary_rate, rare_words, word_kinds
from asr.settings import make_settings

FORMAT = "asr-evaluation"
VERSION = 1
NORMALISER = "basic"
Plain = dict[str, Any]


@dataclass(frozen=True)
class Result:
    """What one system heard. about: model, device, date and other words for people."""

    name: str
    answers: tuple[Answer, ...]
    problems: tuple[Problem, ...] = ()
    about: Mapping[str, str] = field(default_factory=dict)

    def count(self, kind: str) -> int:
        """How many problems there are of a kind."""
        return sum(problem.kind == kind for problem in self.problems)


def summarise(
    result: Result,
    *,
    normaliser: str = NORMALISER,
    rules: Sequence[Rule] = (),
    training_counts: Mapping[str, int] | None = None,
) -> Plain:
    """Every number of a result as plain values (NaN is None): what --json writes and the report shows."""
    normalise = choose_normaliser(normaliser, rules)
    scored = score_answers(result.answers, normalise)
    calibration = calibrate(*judged_words(scored, normalise))
    summary = {
        "format": FORMAT,
        "version": VERSION,
        "name": result.name,
        "about": dict(result.about),
        "normaliser": normaliser,
        "rules": len(rules),
        **asdict(total_score(scored)),
        "sets": {name: asdict(total_score(part)) for name, part in by_set(scored).items()},
        "normalisers": normaliser_table(result.answers, rules),
        "groups": _groups(scored),
        "word_kinds": [asdict(x) for x in word_kinds(scored, normalise)],
        "confusions": [asdict(x) for x in confusions(scored)],
        "confidence": asdict(calibration) if calibration else None,
        "problem_counts": dict(Counter(problem.kind for problem in result.problems)),
        "problems": [asdict(problem) for problem in result.problems],
        **(_training(scored, training_counts) if training_counts is not None else {}),
        "utterances": [_utterance(x) for x in scored],
    }
    plain: Plain = without_nan(summary)
    return plain


def by_set(scored: Sequence[Scored]) -> dict[str, list[Scored]]:
    """The utterances of each set, in the order in which the sets were given."""
    parts: dict[str, list[Scored]] = {}
    for x in scored:
        parts.setdefault(x.answer.dataset, []).append(x)
    return parts


def normaliser_table(answers: Sequence[Answer], rules: Sequence[Rule]) -> Plain:
    """name -> WER with interval over all, and WER of each set."""
    table = {}
    for name in NORMALISERS:
        scored = score_answers(answers, choose_normaliser(name, rules))
        table[name] = {
            **_rate(total_score(scored)),
            "sets": {key: _rate(total_score(x)) for key, x in by_set(scored).items()},
        }
    return table


def _rate(score: Score) -> Plain:
    return {"wer": score.wer, "wer_low": score.wer_low, "wer_high": score.wer_high, "words": score.words}


def _groups(scored: Sequence[Scored]) -> Plain:
    return {
        name: [{"value": part.value, **asdict(part.score)} for part in parts]
        for name, parts in group_scores(scored).items()
    }


def _training(scored: Sequence[Scored], counts: Mapping[str, int]) -> Plain:
    return {
        "out_of_vocabulary_percent": out_of_vocabulary_rate(scored, counts),
        "rare_words": [asdict(x) for x in rare_words(scored, counts)],
    }


def _utterance(x: Scored) -> Plain:
    counts = x.counts
    numbers = {"wer": x.wer, "hits": counts.hits, "substitutions": counts.substitutions}
    return {**answer_to_json(x.answer), **numbers, "deletions": counts.deletions, "insertions": counts.insertions}


def without_nan(value: Any) -> Any:
    """The same plain values with None for every float that JSON cannot say."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: without_nan(x) for key, x in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(x) for x in value]
    return value


def plain_json(content: Plain) -> str:
    """The text of a file of plain values."""
    return json.dumps(without_nan(content), ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def write_json(summary: Plain) -> str:
    """The text of a result file: each utterance on a line of its own, last."""
    numbers = {key: value for key, value in summary.items() if key != "utterances"}
    head = json.dumps({**numbers, "utterances": []}, ensure_ascii=False, indent=1, allow_nan=False)
    rows = (json.dumps(row, ensure_ascii=False, allow_nan=False) for row in summary["utterances"])
    return head.removesuffix("[]\n}") + "[\n  " + ",\n  ".join(rows) + "\n ]\n}\n"


def read_result(path: Path) -> Result:
    """A result that --json wrote. Raises ManifestError where it is none."""
    try:
        content = json.loads(read_text(path), parse_constant=lambda _: None)  # NaN is no JSON: null, as we write it
    except (json.JSONDecodeError, RecursionError) as error:
        raise ManifestError(path, f"expected a result of `asr evaluate --json`: {error}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ManifestError(path, f'expected a result of `asr evaluate --json` (its "format" is {FORMAT!r})')
    if content.get("version") != VERSION:
        raise ManifestError(path, f"this result is of version {content.get('version')}; this program reads {VERSION}")
    given = {key: content[key] for key in ("utterances", "problems", "about") if content.get(key)}
    try:
        saved = make_settings(_Saved, given, where=str(path))
        answers = [answer_from_json(row, where=f"{path}: utterance {i}") for i, row in enumerate(saved.utterances, 1)]
    except ConfigError as error:
        raise ManifestError(error.where, error.problem) from None
    return Result(str(content.get("name") or path.stem), tuple(answers), saved.problems, saved.about)


@dataclass(frozen=True)
class _Saved:
    utterances: list[dict[str, Any]] = field(default_factory=list)
    problems: tuple[Problem, ...] = ()
    about: dict[str, str] = field(default_factory=dict)


CSV_COLUMNS = (
    *("id", "dataset", "speaker", "source", "duration_s", "snr_db", "wall_s", "wer", "hits", "substitutions"),
    *("deletions", "insertions", "confidence", "reference", "hypothesis", "audio"),
)


def write_csv(summary: Plain) -> str:
    """One row an utterance."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, CSV_COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in summary["utterances"]:
        given = [word["confidence"] for word in row.get("words", ()) if word["confidence"] is not None]
        writer.writerow({**row, "confidence": sum(given) / len(given) if given else None})
    return stream.getvalue()
