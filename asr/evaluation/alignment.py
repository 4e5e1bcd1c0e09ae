"""Reference and hypothesis side by side, word by word (jiwer's Levenshtein alignment), and the counts in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import jiwer

StepKind = Literal["hit", "sub", "del", "ins"]


@dataclass(frozen=True)
class Step:
    """One pair of an alignment. reference is None for an insertion, hypothesis is None for a deletion.

    hypothesis_index is the place of the word in the hypothesis, or where the deleted word would stand.
    """

    kind: StepKind
    reference: str | None
    hypothesis: str | None
    hypothesis_index: int


@dataclass(frozen=True)
class Counts:
    """Word and character counts of one utterance, or the sum of several."""

    hits: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    character_errors: int = 0
    characters: int = 0
    utterances: int = 0
    wrong_utterances: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(getattr(self, name) + getattr(other, name) for name in Counts.__dataclass_fields__))

    @property
    def words(self) -> int:
        """Words of the reference."""
        return self.hits + self.substitutions + self.deletions

    @property
    def heard(self) -> int:
        """Words of the hypothesis."""
        return self.hits + self.substitutions + self.insertions

    @property
    def errors(self) -> int:
        """Substitutions, deletions and insertions."""
        return self.substitutions + self.deletions + self.insertions


@dataclass(frozen=True)
class Alignment:
    """The cheapest way from reference to hypothesis."""

    steps: tuple[Step, ...]
    counts: Counts


def align(references: Sequence[str], hypotheses: Sequence[str]) -> list[Alignment]:
    """Align each pair of normalised texts. Empty texts are allowed on both sides."""
    if not references:
        return []
    words = jiwer.process_words(list(references), list(hypotheses))
    letters = jiwer.process_characters(list(references), list(hypotheses))
    return [_alignment(words, letters, i) for i in range(len(references))]


def _alignment(words: jiwer.WordOutput, letters: jiwer.CharacterOutput, index: int) -> Alignment:
    steps = tuple(
        step
        for chunk in words.alignments[index]
        for step in _steps(chunk, words.references[index], words.hypotheses[index])
    )
    kinds = [step.kind for step in steps]
    wrong = sum(kind != "hit" for kind in kinds)
    counts = Counts(
        hits=kinds.count("hit"),
        substitutions=kinds.count("sub"),
        deletions=kinds.count("del"),
        insertions=kinds.count("ins"),
        character_errors=sum(_length(chunk) for chunk in letters.alignments[index] if chunk.type != "equal"),
        characters=len(letters.references[index]),
        utterances=1,
        wrong_utterances=int(wrong > 0),
    )
    return Alignment(steps, counts)


def _steps(chunk: jiwer.AlignmentChunk, reference: list[str], hypothesis: list[str]) -> list[Step]:
    said = reference[chunk.ref_start_idx : chunk.ref_end_idx]
    heard = hypothesis[chunk.hyp_start_idx : chunk.hyp_end_idx]
    first = chunk.hyp_start_idx
    match chunk.type:
        case "delete":
            return [Step("del", word, None, first) for word in said]
        case "insert":
            return [Step("ins", None, word, first + i) for i, word in enumerate(heard)]
        case kind:
            name: StepKind = "hit" if kind == "equal" else "sub"
            return [Step(name, a, b, first + i) for i, (a, b) in enumerate(zip(said, heard, strict=True))]


def _length(chunk: jiwer.AlignmentChunk) -> int:
    return int(max(chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx))
