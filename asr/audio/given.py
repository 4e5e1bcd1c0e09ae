"""Samples that a caller has already: checked for what they are, before anything is made of them."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from asr.errors import AudioError

Floats = np.ndarray[tuple[int], np.dtype[np.floating[Any]]]


def floats(samples: ArrayLike, called: str) -> Floats:
    """An array, list or CPU tensor of (S,) floats as an array. Raises AudioError for whole numbers and other shapes."""
    expected = "expected floats within -1 to 1, one channel, shape (S,), at 16 kHz"
    try:
        values = np.asarray(samples)
    except (TypeError, ValueError, RuntimeError) as error:  # rows of unlike length; tensors of a GPU or of a gradient
        raise AudioError(called, f"{expected}; got a {type(samples).__name__}: {error}") from error
    if values.ndim != 1:
        raise AudioError(called, f"{expected}; got shape {values.shape}: give one channel, or their mean")
    if values.dtype.kind != "f":
        advice = "divide whole numbers by full scale (32768 for int16)"
        raise AudioError(called, f"{expected}; got {values.dtype}: {advice}")
    return values
