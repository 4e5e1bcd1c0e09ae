"""Speech whose word times are known: flite (Debian) tells where each phoneme that it speaks ends."""

import shutil
import subprocess
from itertools import groupby
from pathlib import Path

FLITE = shutil.which("flite")
VOICES = ("slt", "rms", "awb")
Spoken = tuple[str, float, float]  # word or phoneme, start and end in seconds


def speak(voice: str, text: str, path: Path) -> list[Spoken]:
    """Speak lower-case words into a WAV file -> each word with its times. Raises ValueError where they stay unknown."""
    words = text.split()
    spoken = [phoneme for phoneme in _phonemes(voice, text, path) if phoneme[0] != "pau"]
    alone = _phonemes(voice, " ".join(f"{word}." for word in words), Path("none"))
    counts = [len(list(group)) for pause, group in groupby(alone, lambda x: x[0] == "pau") if not pause]
    if len(counts) != len(words) or sum(counts) != len(spoken):
        raise ValueError(f"flite says {text!r} otherwise than its words alone")
    ends = [sum(counts[: i + 1]) for i in range(len(counts))]
    return [
        (word, spoken[end - count][1], spoken[end - 1][2]) for word, count, end in zip(words, counts, ends, strict=True)
    ]


def _phonemes(voice: str, text: str, path: Path) -> list[Spoken]:
    assert FLITE is not None
    command = [FLITE, "-voice", voice, "-psdur", "-t", text, "-o", str(path)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    found, at = list[Spoken](), 0.0
    for item in printed:
        name, _, end = item.rpartition(":")
        found.append((name, at, float(end)))
        at = float(end)
    return found
