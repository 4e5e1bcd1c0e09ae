"""What was heard for each reference: the rows that every score, comparison and report is made from."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from asr.decoding.words import Alternative, Word
from asr.errors import ManifestError
from asr.evaluation.datasets.reference import UNKNOWN


@dataclass(frozen=True)
class Answer:
    """One reference and the hypothesis for it, both as they were written. Times in seconds.

    words holds times and confidence where the system gives them, else it is empty. wall_s is the time that recognising
    took. audio is a path for people and players, "" where there is none.
    """

    id: str
    dataset: str
    reference: str
    hypothesis: str
    words: tuple[Word, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    audio: str = ""
    offset_s: float | None = None
    duration_s: float | None = None
    speaker: str = ""
    source: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    wall_s: float | None = None
    snr_db: float | None = None

    @property
    def speaker_known(self) -> bool:
        """Whether `speaker` names one person, as far as one can tell."""
        return self.speaker.lower() not in UNKNOWN and "unknown" not in self.speaker.lower()


def answer_to_json(answer: Answer) -> dict[str, Any]:
    """Plain values, without what is empty."""
    return {key: value for key, value in asdict(answer).items() if value not in (None, "", (), {}) or key in _NEEDED}


_NEEDED = {"id", "reference", "hypothesis"}


def answer_from_json(row: Mapping[str, Any], *, where: str) -> Answer:
    """The answer in a saved result. Raises ManifestError where keys are missing or wrong."""
    try:
        words = tuple(_word(word) for word in row.get("words", ()))
        alternatives = tuple(Alternative(**x) for x in row.get("alternatives", ()))
        known = {key: row[key] for key in _KEYS if key in row}
        return Answer(**{"dataset": "", **known, "words": words, "alternatives": alternatives})
    except (TypeError, KeyError, AttributeError) as error:
        raise ManifestError(where, f"expected an utterance with id, reference and hypothesis: {error}") from None


def _word(row: Mapping[str, Any]) -> Word:
    """JSON has no NaN: what is not known is null there."""
    known: dict[str, Any] = {key: float("nan") if value is None else value for key, value in row.items()}
    return Word(**known)


_KEYS = frozenset(Answer.__dataclass_fields__) - {"words", "alternatives"}


def bootstrap_units(answers: Sequence[Answer]) -> list[tuple[str, str]]:
    """(set, unit) of each answer: what is drawn together in a bootstrap.

    Speakers where a set has MIN_SPEAKERS known ones or more (their utterances are not independent), else utterances.
    """
    speakers: dict[str, set[str]] = {}
    unknown: set[str] = set()
    for answer in answers:
        speakers.setdefault(answer.dataset, set()).add(answer.speaker)
        if not answer.speaker_known:
            unknown.add(answer.dataset)
    by_speaker = {name for name, found in speakers.items() if len(found) >= MIN_SPEAKERS and name not in unknown}
    return [(x.dataset, f"speaker {x.speaker}" if x.dataset in by_speaker else f"utterance {x.id}") for x in answers]


MIN_SPEAKERS = 10
