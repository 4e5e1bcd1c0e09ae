"""Answers from pairs of texts."""

from collections.abc import Sequence

import numpy as np

from asr.evaluation.answers import Answer

WORDS = ("the", "cat", "sat", "on", "a", "mat", "and", "ran", "far", "away")


def answers_of(pairs: Sequence[tuple[str, str]], *, speakers: int = 0) -> list[Answer]:
    return [
        Answer(
            f"u{i}",
            "set",
            reference,
            hypothesis,
            speaker=f"s{i % speakers}" if speakers else "",
            duration_s=2.0,
            wall_s=0.5,
        )
        for i, (reference, hypothesis) in enumerate(pairs)
    ]


def random_pairs(count: int, *, error_rate: float = 0.2, seed: int = 0) -> list[tuple[str, str]]:
    """References of 1 to 12 words, and hypotheses with errors of all three kinds."""
    rng = np.random.default_rng(seed)
    pairs = []
    for _ in range(count):
        reference = [WORDS[i] for i in rng.integers(0, len(WORDS), rng.integers(1, 13))]
        heard = []
        for word in reference:
            kind = rng.choice(4, p=[1 - error_rate, *[error_rate / 3] * 3])
            heard += [[word], ["dog"], [], [word, "uh"]][kind]
        pairs.append((" ".join(reference), " ".join(heard)))
    return pairs
