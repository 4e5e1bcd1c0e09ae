"""What a reader gives: references (recording and true words) and the problems that it met."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from asr.audio.parts import Part
from asr.audio.reader import AUDIO_SUFFIXES as READABLE
from asr.errors import ManifestError

AUDIO_SUFFIXES = READABLE | {".sph"}  # NIST sphere, as Kaldi and STM folders have

UNKNOWN = frozenset({"", "unknown", "none", "nan", "-", "n/a"})


@dataclass(frozen=True)
class Reference:
    """One stretch of a recording and the words that were said in it.

    audio is a file, the bytes of one, or None where only the words are known. offset_s and duration_s are seconds; an
    offset_s of None means the recording from its start, a duration_s of None to its end (or not known). Where nobody
    wrote down what is said, it is not `transcribed`: that is another thing than a text without words.
    """

    id: str
    audio: Path | bytes | None
    text: str
    offset_s: float | None = None
    duration_s: float | None = None
    speaker: str = ""
    source: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    transcribed: bool = True

    @property
    def is_cut(self) -> bool:
        """Whether this is a part of a longer recording."""
        return self.part is not None

    @property
    def part(self) -> Part | None:
        """The part of a longer recording that this is; None: it is whole, or not known as sound."""
        if self.audio is None or self.offset_s is None:
            return None
        return Part(self.audio, self.offset_s, self.duration_s)

    @property
    def speaker_known(self) -> bool:
        """Whether `speaker` names one person, as far as one can tell."""
        return self.speaker.lower() not in UNKNOWN and "unknown" not in self.speaker.lower()


@dataclass(frozen=True)
class Problem:
    """Something wrong with one reference. kind: missing, doubled, empty, long, crowded, unreadable or failed."""

    kind: str
    id: str
    detail: str

    @property
    def is_failure(self) -> bool:
        """Whether a reference could not be scored because of it; the rest is only said."""
        return self.kind in {"missing", "doubled", "unreadable", "failed", "unanswered"}

    def __str__(self) -> str:
        return f"{self.kind}: {self.id}: {self.detail}"


@dataclass(frozen=True)
class Dataset:
    """One test set. references can be scored; what is wrong, or was left out, is in problems."""

    name: str
    kind: str
    references: tuple[Reference, ...]
    problems: tuple[Problem, ...] = ()

    def count(self, kind: str) -> int:
        """How many problems there are of a kind."""
        return sum(problem.kind == kind for problem in self.problems)


LONGEST_S = 3600.0
MOST_CHARACTERS_A_SECOND = 40.0


def check_references(
    references: Iterable[Reference], *, where: str
) -> tuple[tuple[Reference, ...], tuple[Problem, ...]]:
    """Leave out what cannot be scored (no file, an id for the second time) and name all that is odd.

    Raises ManifestError where there is nothing at all.
    """
    kept: list[Reference] = []
    problems: list[Problem] = []
    seen: Counter[str] = Counter()
    for reference in references:
        found = list(_problems_of(reference, seen))
        seen[reference.id] += 1
        problems.extend(found)
        if not any(problem.is_failure for problem in found):
            kept.append(reference)
    if not seen:
        raise ManifestError(where, "expected at least one reference; there is none")
    return tuple(kept), tuple(problems)


def _problems_of(reference: Reference, seen: Mapping[str, int]) -> Iterable[Problem]:
    name, seconds = reference.id, reference.duration_s
    if seen[name]:
        yield Problem("doubled", name, "this id was there before; the first one counts, this one is left out")
    if isinstance(reference.audio, Path) and not os.path.isfile(reference.audio):  # noqa: PTH113  (False for any name)
        yield Problem("missing", name, f"there is no file {reference.audio}")
    if not reference.transcribed:
        yield Problem(
            "missing", name, "nobody wrote down what is said; expected a .txt, .srt or .vtt beside the recording"
        )
    elif not reference.text.strip():
        yield Problem("empty", name, "the reference has no words; each word heard counts as inserted")
    if seconds is not None and seconds > LONGEST_S:
        yield Problem("long", name, f"{seconds:.0f} s are more than {LONGEST_S:.0f} s")
    if seconds and len(reference.text) / max(seconds, 0.5) > MOST_CHARACTERS_A_SECOND:
        rate = len(reference.text) / seconds
        yield Problem("crowded", name, f"{rate:.0f} characters a second: more words than the recording can hold")


def with_text_tags(reference: Reference, tags: Mapping[str, object]) -> Reference:
    """The reference with every value that is a word, a number or a truth value as a tag."""
    plain = {
        key: str(value) for key, value in tags.items() if isinstance(value, str | int | float | bool) and value != ""
    }
    return replace(reference, tags=plain)
