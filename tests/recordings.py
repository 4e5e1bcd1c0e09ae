"""The sample recordings, and signals made on the spot."""

from pathlib import Path

import numpy as np
import soundfile

AUDIO = Path(__file__).parent / "audio"
RECORDINGS = sorted(AUDIO.glob("*.opus"))


def tone(seconds: float, rate: int = 16_000, hz: float = 440.0) -> np.ndarray:
    """A sine at a third of full scale: (S,) float32."""
    return (0.33 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def speech(count: int = 4, pause_s: float = 1.0) -> np.ndarray:
    """Some sample recordings one after the other with pauses of digital silence: (S,) float32, 16 kHz."""
    pause = np.zeros(round(pause_s * 16_000), np.float32)
    parts = [part for path in RECORDINGS[:count] for part in (soundfile.read(path, dtype="float32")[0], pause)]
    return np.concatenate(parts)
