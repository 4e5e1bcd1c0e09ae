"""What of the training data a run cannot learn from: counted, so that it is said and not passed over in silence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asr.data.batches import BatchConfig
from asr.data.manifest import Example
from asr.model.units import Units, frames_needed

MOST_TEXTS = 4000


@dataclass(frozen=True)
class UnlearntTexts:
    """Of one kind of units: texts that they cannot write, with an example, and texts too long for their recordings."""

    unwritable: int
    such_as: str
    crowded: int


@dataclass(frozen=True)
class Coverage:
    """Recordings of all manifests, those left out for their length; by kind of units what is not learnt, of `seen`."""

    recordings: int
    long: int
    short: int
    seen: int
    texts: Mapping[str, UnlearntTexts]

    def sentences(self, batches: BatchConfig) -> list[str]:
        """One for each thing that is left out; none where all is learnt from."""
        said = []
        if self.long or self.short:
            limits = f"{self.long} longer than {batches.longest:g} s, {self.short} shorter than {batches.shortest:g} s"
            said.append(f"of {self.recordings} recordings are left out: {limits} (data.batches)")
        for kind, x in self.texts.items():
            such = f"such as {x.such_as!r}"
            if x.unwritable:
                said.append(f"{x.unwritable} of {self.seen} texts cannot be written in {kind} units, {such}")
            if x.crowded:
                said.append(
                    f"{x.crowded} of {self.seen} texts have more {kind} units than their recordings have room for"
                )
        return said


def coverage(
    examples: Sequence[Example], units: Mapping[str, Units], batches: BatchConfig, *, frames_per_s: float
) -> Coverage:
    """Of all recordings, and of some MOST_TEXTS texts, each of whose rare words is pronounced.

    `frames_per_s`: of the network's output.
    """
    used = [x for x in examples if batches.shortest <= x.duration <= batches.longest]
    seen = used[:: max(1, len(used) // MOST_TEXTS)]
    return Coverage(
        recordings=len(examples),
        long=sum(x.duration > batches.longest for x in examples),
        short=sum(x.duration < batches.shortest for x in examples),
        seen=len(seen),
        texts={kind: _unlearnt(seen, found, frames_per_s) for kind, found in units.items()},
    )


def _unlearnt(examples: Sequence[Example], units: Units, frames_per_s: float) -> UnlearntTexts:
    encoded = [(x, units.encode(x.text)) for x in examples]
    strange = [x.text for x, ids in encoded if ids is None]
    crowded = sum(ids is not None and frames_needed(ids) > x.duration * frames_per_s for x, ids in encoded)
    return UnlearntTexts(len(strange), strange[0][:60] if strange else "", crowded)
