"""Scores of parts of a test set: by speaker, length, speech rate, noise, source and any key of the manifest."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from asr.evaluation.answers import Answer
from asr.evaluation.scores import Score, Scored, total_score

DURATION_EDGES_S = (2.0, 4.0, 8.0, 16.0, 32.0)
RATE_EDGES_WORDS_A_SECOND = (1.5, 2.0, 2.5, 3.0, 3.5)
SNR_EDGES_DB = (10.0, 20.0, 30.0, 40.0)
MOST_VALUES_OF_A_TAG = 40
GROUP_DRAWS = 500


@dataclass(frozen=True)
class Group:
    """A part of the utterances, by the value they share."""

    value: str
    score: Score


def group_scores(scored: Sequence[Scored]) -> dict[str, list[Group]]:
    """Every grouping that parts the utterances in two or more: name -> groups in their order."""
    keys = {**BY_NAME, **_tag_keys([x.answer for x in scored])}
    found = {name: _parts(scored, key) for name, key in keys.items()}
    told_apart: set[frozenset[frozenset[int]]] = set()
    result = {}
    for name, parts in found.items():
        division = frozenset(frozenset(id(x) for x in part) for part in parts.values())
        if len(parts) > 1 and division not in told_apart:  # one source a set: the same division twice
            told_apart.add(division)
            result[name] = _scores(parts)
    return result


def _parts(scored: Sequence[Scored], key: Callable[[Scored], str]) -> dict[str, list[Scored]]:
    parts: dict[str, list[Scored]] = {}
    for x in scored:
        value = key(x)
        if value:
            parts.setdefault(value, []).append(x)
    return parts


def _scores(parts: Mapping[str, Sequence[Scored]]) -> list[Group]:
    return [Group(value, total_score(parts[value], draws=GROUP_DRAWS)) for value in sorted(parts, key=_natural)]


def _natural(value: str) -> tuple[float, str]:
    """Bins by their lower edge, all else by name."""
    first = value.removeprefix("<").split(" ")[0].split("–")[0].removeprefix("≥")
    try:
        return (float(first) - 0.01 * value.startswith("<"), value)
    except ValueError:
        return (float("inf"), value)


def bin_name(value: float, edges: Sequence[float], unit: str) -> str:
    """The bin that a value is in: "<2 s", "2–4 s", "≥32 s"."""
    if value < edges[0]:
        return f"<{edges[0]:g} {unit}"
    for low, high in pairwise(edges):
        if value < high:
            return f"{low:g}–{high:g} {unit}"
    return f"≥{edges[-1]:g} {unit}"


def _duration(x: Scored) -> str:
    return bin_name(x.answer.duration_s, DURATION_EDGES_S, "s") if x.answer.duration_s else ""


def _speech_rate(x: Scored) -> str:
    seconds = x.answer.duration_s
    return bin_name(x.counts.words / seconds, RATE_EDGES_WORDS_A_SECOND, "words/s") if seconds else ""


def _snr(x: Scored) -> str:
    return "" if x.answer.snr_db is None else bin_name(x.answer.snr_db, SNR_EDGES_DB, "dB")


BY_NAME: Mapping[str, Callable[[Scored], str]] = {
    "set": lambda x: x.answer.dataset,
    "speaker": lambda x: x.answer.speaker,
    "duration": _duration,
    "speech rate": _speech_rate,
    "estimated SNR": _snr,
    "source": lambda x: x.answer.source,
}


def _tag_keys(answers: Sequence[Answer]) -> dict[str, Callable[[Scored], str]]:
    """Tags with a few values each; a tag with a value for nearly every utterance says nothing."""
    values: dict[str, set[str]] = {}
    for answer in answers:
        for key, value in answer.tags.items():
            values.setdefault(key, set()).add(value)
    chosen = [key for key, found in values.items() if 1 < len(found) <= MOST_VALUES_OF_A_TAG and key not in BY_NAME]
    return {key: _tag(key) for key in chosen}


def _tag(key: str) -> Callable[[Scored], str]:
    return lambda x: x.answer.tags.get(key, "")
