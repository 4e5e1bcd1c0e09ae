"""Hypotheses of any system (JSONL, CTM, TRN, lines "id text", a saved result), and which reference each is for."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from asr.audio.reader import probe_duration
from asr.data.lines import numbered_lines, numbered_rows, read_text, seconds
from asr.decoding.words import Alternative, Word
from asr.errors import ManifestError
from asr.evaluation.answers import Answer
from asr.evaluation.datasets.reference import Dataset, Problem, Reference

ID_KEYS = ("id", "utt_id", "utterance_id", "audio_filepath", "audio", "path", "file", "name")
TEXT_KEYS = ("text", "pred_text", "hypothesis", "transcript", "transcription")
NAN = float("nan")
ROUNDING = 1e-3  # above 1, of a confidence that was written with few digits


@dataclass(frozen=True)
class Hypothesis:
    """What one system heard. id is an utterance or a recording; words has times and confidence (NaN) where given."""

    id: str
    text: str
    words: tuple[Word, ...] = ()
    alternatives: tuple[Alternative, ...] = ()

    @property
    def is_timed(self) -> bool:
        """Whether its words can be told apart by their times."""
        return bool(self.words) and all(word.start_s + word.end_s >= 0 for word in self.words)


def read_hypotheses(path: Path) -> list[Hypothesis]:
    """All hypotheses of a file, its kind told by its name and first letter, or of a folder of such files.

    Raises ManifestError naming the line.
    """
    if path.is_dir():
        return _read_folder(path)
    text = read_text(path)
    if path.suffix == ".ctm":
        return list(_read_ctm(path))
    if path.suffix == ".json" and (saved := _saved_result(text)) is not None:
        return saved
    if text.lstrip().startswith("{"):
        return [_from_row(where, row) for where, row in numbered_rows(path)]
    if path.suffix == ".trn":
        return [_from_trn(where, line) for where, line in numbered_lines(path)]
    lines = (line.strip().partition("\t" if "\t" in line else " ") for _, line in numbered_lines(path))
    return [Hypothesis(name, words.strip()) for name, _, words in lines]


def _read_folder(folder: Path) -> list[Hypothesis]:
    """What `asr transcribe --out` writes: a .json or a .ctm a recording, else a .txt with its words."""
    for suffix in (".json", ".ctm"):
        if files := sorted(folder.rglob(f"*{suffix}")):
            return [x for file in files for x in read_hypotheses(file)]
    files = sorted(folder.rglob("*.txt"))
    if not files:
        raise ManifestError(folder, "expected .json, .ctm or .txt files, one a recording; there is none")
    return [Hypothesis(x.relative_to(folder).with_suffix("").as_posix(), " ".join(read_text(x).split())) for x in files]


def _saved_result(text: str) -> list[Hypothesis] | None:
    try:
        rows = json.loads(text)["utterances"]
        return [Hypothesis(x["id"], x["hypothesis"], tuple(_word("", w) for w in x.get("words", ()))) for x in rows]
    except (ValueError, KeyError, TypeError):
        return None


def _from_row(where: str, row: Mapping[str, Any]) -> Hypothesis:
    name = next((str(row[key]) for key in ID_KEYS if row.get(key)), None)
    text = next((row[key] for key in TEXT_KEYS if isinstance(row.get(key), str)), None)
    if name is None or text is None:
        keys = ", ".join(row)
        wanted = f"expected one of {', '.join(ID_KEYS)} and one of {', '.join(TEXT_KEYS)}"
        raise ManifestError(where, f"{wanted}; there are {keys}")
    nested = [word for part in row.get("utterances") or () for word in part.get("words") or ()]  # `asr transcribe`
    words = tuple(_word(where, word) for word in row.get("words") or nested)
    return Hypothesis(name, text, words)


def _word(where: str, row: Mapping[str, Any]) -> Word:
    try:
        text = row["text"] if "text" in row else row["word"]
        start, end = (_number(row.get(f"{key}_s", row.get(key))) for key in ("start", "end"))
        return Word(str(text), start, end, _confidence(where, row.get("confidence", row.get("probability"))))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ManifestError(where, f"expected words with text, start_s, end_s and confidence: {error}") from None


def _number(value: Any) -> float:
    return NAN if value is None else float(value)


def _confidence(where: str, value: Any) -> float:
    """NaN where there is none. Raises ManifestError for percents, logarithms and words."""
    try:
        number = _number(value)
    except (TypeError, ValueError):
        number = -1.0
    if number < 0 or number > 1 + ROUNDING:
        raise ManifestError(where, f"expected a confidence of 0 to 1, or none at all, got {value!r}")
    return min(number, 1.0)


def _read_ctm(path: Path) -> Iterator[Hypothesis]:
    """One a file; of a file with several channels one a channel, called file-channel."""
    words: dict[tuple[str, str], list[Word]] = {}
    for where, line in numbered_lines(path, comment=";;"):
        parts = line.split()
        if len(parts) not in {5, 6}:
            raise ManifestError(where, f"expected 'file channel start duration word [confidence]', got {line[:60]!r}")
        start = seconds(parts[2], where=where, name="start")
        end = start + seconds(parts[3], where=where, name="duration")
        confidence = _confidence(where, parts[5]) if len(parts) == 6 else NAN
        words.setdefault((parts[0], parts[1]), []).append(Word(parts[4], start, end, confidence))
    channels = Counter(file for file, _ in words)
    for (file, channel), found in words.items():
        name = file if channels[file] == 1 else f"{file}-{channel}"
        found.sort(key=lambda word: word.start_s)
        yield Hypothesis(name, " ".join(word.text for word in found), tuple(found))


def _from_trn(where: str, line: str) -> Hypothesis:
    match = re.match(r"^(.*)\(([^()]+)\)\s*$", line)
    if not match:
        raise ManifestError(where, f"expected 'words (id)', got {line[:60]!r}")
    return Hypothesis(match[2], match[1].strip())


def answer_with_hypotheses(
    datasets: Sequence[Dataset], hypotheses: Sequence[Hypothesis], *, where: str
) -> tuple[list[Answer], list[Problem]]:
    """An answer for each reference. A reference without a hypothesis counts as nothing heard, and is named.

    Ids match as they are, else by the recording's path or name; a cut of a recording takes the words whose middle is in
    it. A hypothesis that could be for several references is for none. Raises ManifestError where none matches at all.
    """
    by_name, problems = _by_name(hypotheses, datasets)
    pairs = [
        (dataset, reference, next((by_name[name] for name in _names_of(reference) if name in by_name), None))
        for dataset in datasets
        for reference in dataset.references
    ]
    claims: dict[str, set[object]] = {}
    for _, reference, found in pairs:
        if found is not None:
            claims.setdefault(found.id, set()).add(_claimed(reference, found))
    if not claims:
        examples = f"the hypotheses begin with {hypotheses[0].id!r}" if hypotheses else "there are no hypotheses"
        first = next((x.references[0].id for x in datasets if x.references), "")
        raise ManifestError(where, f"no hypothesis is for any reference: {examples}, the references with {first!r}")
    answers = []
    for dataset, reference, found in pairs:
        count = 0 if found is None else len(claims[found.id])
        if found is None or count > 1:
            problems.append(Problem("unanswered", reference.id, f"{_why(found, count)}; it counts as nothing heard"))
        answers.append(_answer(dataset.name, reference, found if count == 1 else None))
    unused = (x.id for x in hypotheses if x.id not in claims)
    return answers, problems + [Problem("unmatched", name, "no reference for this hypothesis") for name in unused]


def _why(found: Hypothesis | None, count: int) -> str:
    if found is None:
        return "no hypothesis"
    remedy = "give it the recording's path" if found.is_timed else "give it the recording's path, or its words times"
    return f"the hypothesis {found.id!r} could be for {count} references: {remedy}"


def _claimed(reference: Reference, hypothesis: Hypothesis) -> object:
    """The recording that a hypothesis is taken for, or the part of it where its words have no times to cut it by."""
    audio = reference.audio if isinstance(reference.audio, Path) else reference.id
    return audio if hypothesis.is_timed else (reference.part or audio)


def _by_name(
    hypotheses: Iterable[Hypothesis], datasets: Iterable[Dataset]
) -> tuple[dict[str, Hypothesis], list[Problem]]:
    """By id, and by the stem of the id where that is the stem of one only, and of one recording's references."""
    found: dict[str, Hypothesis] = {}
    problems = []
    for x in hypotheses:
        if x.id in found:
            problems.append(Problem("doubled", x.id, "a second hypothesis for the same id; the first one counts"))
        found.setdefault(x.id, x)
    recordings = {x.audio for dataset in datasets for x in dataset.references if isinstance(x.audio, Path)}
    stems, taken = Counter(_stem(name) for name in found), Counter(x.stem for x in recordings)
    own = {_stem(name): x for name, x in found.items() if stems[_stem(name)] == 1 and taken[_stem(name)] <= 1}
    return {**own, **found}, problems


def _names_of(reference: Reference) -> Iterator[str]:
    yield reference.id
    if isinstance(reference.audio, Path):
        if reference.part is not None:  # as `asr transcribe` names it
            yield f"{reference.audio}{reference.part.label}"
            yield f"{reference.audio.stem}{reference.part.label}"
        if "channel" in reference.tags:  # as a CTM of several is read
            yield f"{reference.audio.stem}-{reference.tags['channel']}"
        yield str(reference.audio)
    yield _stem(reference.id)
    if isinstance(reference.audio, Path):
        yield reference.audio.stem


def _stem(name: str) -> str:
    """The name without folders and without the suffix of an audio file."""
    return re.sub(r"\.(?!\d+$)\w{2,4}$", "", name.rsplit("/", 1)[-1])


def _answer(dataset: str, reference: Reference, hypothesis: Hypothesis | None) -> Answer:
    found = hypothesis or Hypothesis(reference.id, "")
    if reference.offset_s is not None and found.is_timed and found.id != reference.id:
        found = _cut(found, reference.offset_s, reference.duration_s)
    answer = answer_of(dataset, reference, text=found.text, words=found.words, alternatives=found.alternatives)
    if answer.duration_s is None and isinstance(reference.audio, Path) and not reference.is_cut:
        return replace(answer, duration_s=probe_duration(reference.audio))
    return answer


def _cut(hypothesis: Hypothesis, start: float, duration: float | None) -> Hypothesis:
    end = float("inf") if duration is None else start + duration
    words = tuple(word for word in hypothesis.words if start <= (word.start_s + word.end_s) / 2 < end)
    return Hypothesis(hypothesis.id, " ".join(word.text for word in words), words)


def answer_of(
    dataset: str,
    reference: Reference,
    *,
    text: str,
    words: tuple[Word, ...],
    alternatives: tuple[Alternative, ...] = (),
) -> Answer:
    """The answer to a reference, without times of the recogniser."""
    return Answer(
        id=reference.id,
        dataset=dataset,
        reference=reference.text,
        hypothesis=text,
        words=words,
        alternatives=alternatives,
        audio=str(reference.audio) if isinstance(reference.audio, Path) else "",
        offset_s=reference.offset_s,
        duration_s=reference.duration_s,
        speaker=reference.speaker,
        source=reference.source,
        tags=reference.tags,
    )
