"""What was heard for each reference: the rows that every score, comparison and report is made from."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from asr.decoding.words import Alternative, Word
from asr.evaluation.datasets.reference import UNKNOWN
from asr.settings import make_settings


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
    """The answer in a saved result. Raises ConfigError where keys are missing or wrong."""
    known = {key: row[key] for key in Answer.__dataclass_fields__ if key in row}
    if isinstance(words := row.get("words"), list):
        known["words"] = [_with_nan(word) for word in words]
    return make_settings(Answer, {"dataset": "", **known}, where=where)


def _with_nan(word: Any) -> Any:
    """JSON has no NaN: what is not known is null there."""
    return {key: NAN if x is None else x for key, x in word.items()} if isinstance(word, dict) else word


NAN = float("nan")


def bootstrap_units(answers: Sequence[Answer]) -> list[tuple[str, str]]:
    """(set, unit) of each answer: what is drawn together in a bootstrap.

    Speakers where a set has MIN_SPEAKERS known ones or more (their utterances are not independent), with each utterance
    of nobody known for itself; else utterances.
    """
    speakers: dict[str, set[str]] = {}
    for answer in answers:
        if answer.speaker_known:
            speakers.setdefault(answer.dataset, set()).add(answer.speaker)
    by_speaker = {name for name, found in speakers.items() if len(found) >= MIN_SPEAKERS}
    return [
        (x.dataset, f"speaker {x.speaker}" if x.dataset in by_speaker and x.speaker_known else f"utterance {x.id}")
        for x in answers
    ]


MIN_SPEAKERS = 5  # from here on their interval covers the truth more often than one over utterances, too short, does
