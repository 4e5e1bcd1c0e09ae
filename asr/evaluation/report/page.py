"""The report: one HTML file with numbers, plots, every utterance and its sound. Needs no network and no other file."""

import json
from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any, TextIO

from asr.evaluation.answers import Answer
from asr.evaluation.calibration import word_places
from asr.evaluation.compare import Comparison
from asr.evaluation.normalise import Normaliser
from asr.evaluation.report import sections
from asr.evaluation.report.embedding import embed
from asr.evaluation.result import Plain, Result, without_nan
from asr.evaluation.scores import Scored, score_answers
from asr.writing import whole_file

MOST_AUDIO_BYTES = 200_000_000
KINDS = {"hit": 0, "sub": 1, "del": 2, "ins": 3}


def write_report(
    results: Sequence[Result],
    summaries: Sequence[Plain],
    path: Path,
    *,
    normalise: Normaliser,
    comparisons: Sequence[Comparison] = (),
) -> None:
    """One page for one result, or for several on the same references side by side. Written whole or not at all.

    The first result says which utterances there are. Raises AsrError where the file cannot be written.
    """
    with whole_file(path) as part, part.open("w", encoding="utf-8", errors="backslashreplace") as stream:
        _write(stream, results, summaries, normalise=normalise, comparisons=comparisons)


def _write(
    stream: TextIO,
    results: Sequence[Result],
    summaries: Sequence[Plain],
    *,
    normalise: Normaliser,
    comparisons: Sequence[Comparison],
) -> None:
    before, after = asset("report.html").split("{{data}}")
    title = escape(" and ".join(x["name"] for x in summaries))
    before = before.replace("{{title}}", title).replace("{{report.css}}", asset("report.css"))
    stream.write(before.replace("{{content}}", _content(summaries, comparisons)))
    audio = list(_write_audio(stream, results[0].answers))
    rows = list(utterance_rows(results, normalise, audio))
    stream.write(data_element("data", {"systems": [x["name"] for x in summaries], "utterances": rows}))
    stream.write(after.replace("{{report.js}}", asset("report.js")))


def _content(summaries: Sequence[Plain], comparisons: Sequence[Comparison]) -> str:
    numbers = (sections.verdicts(comparisons), sections.cards(summaries), sections.score_tables(summaries))
    details = (sections.plots(summaries), sections.confusion_tables(summaries), sections.problems(summaries))
    return "\n".join((*numbers, *details))


def _write_audio(stream: TextIO, answers: Sequence[Answer]) -> Iterator[str]:
    """Write each recording that fits; yield "" or why there is none."""
    written = 0
    for i, answer in enumerate(answers):
        if written > MOST_AUDIO_BYTES:
            yield f"left out: the page holds {MOST_AUDIO_BYTES // 1_000_000} MB of sound already"
            continue
        found = embed(answer)
        if found.base64:
            stream.write(f'<script type="text/plain" id="audio-{i}">{found.base64}</script>\n')
            written += len(found.base64)
        yield found.missing


def utterance_rows(results: Sequence[Result], normalise: Normaliser, audio: Sequence[str]) -> Iterator[dict[str, Any]]:
    """What the script shows of each utterance: see report.js for the short keys."""
    heard = [
        {(x.answer.dataset, x.answer.id): x for x in score_answers(result.answers, normalise)} for result in results
    ]
    for answer, missing in zip(results[0].answers, audio, strict=True):
        found = [part.get((answer.dataset, answer.id)) for part in heard]
        yield {
            "id": answer.id,
            "set": answer.dataset,
            "speaker": answer.speaker,
            "seconds": answer.duration_s,
            "snr": answer.snr_db,
            "tags": " ".join(
                f"{key}:{value}" for key, value in answer.tags.items() if key not in {"speaker", "source"}
            ),
            "said": answer.reference,
            "audio": missing,
            "systems": [None if x is None else _system(x, normalise) for x in found],
        }


def _system(x: Scored, normalise: Normaliser) -> dict[str, Any]:
    words = word_places(x.answer, x.hypothesis, normalise)
    steps = []
    for step in x.alignment.steps:
        word = words[step.hypothesis_index] if step.hypothesis is not None else None
        times = (
            [None, None, None] if word is None else [_round(word.confidence), _round(word.start_s), _round(word.end_s)]
        )
        steps.append([KINDS[step.kind], step.reference or "", step.hypothesis or "", *times])
    given = [word.confidence for word in x.answer.words if word.confidence == word.confidence]
    return {
        "wer": None if x.wer != x.wer else round(x.wer, 1),
        "errors": x.counts.errors,
        "confidence": round(sum(given) / len(given), 3) if given else None,
        "heard": x.answer.hypothesis,
        "steps": steps,
        "best": [[one.text, round(one.score, 3)] for one in x.answer.alternatives],
    }


def _round(value: float) -> float | None:
    return None if value != value else round(value, 3)


def asset(name: str) -> str:
    """A file that lies beside this one."""
    return (files("asr.evaluation.report") / name).read_text(encoding="utf-8")


def data_element(name: str, value: Any) -> str:
    """JSON that cannot end the element it is in."""
    text = json.dumps(without_nan(value), ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{text}</script>\n'
