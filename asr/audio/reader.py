"""Files, bytes and pipes become float32 samples, mono, 16 kHz, in blocks, so that hours never lie in memory.

soundfile reads wav, flac, ogg, opus and mp3; what it does not know is given to PyAV (m4a, aac, wma, webm, mp4 and
others). The content decides, not the name. A truncated or damaged recording gives the blocks before the damage, then
AudioError.
"""

import io
import itertools
import shutil
import sys
import tempfile
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr

from asr.audio.containers import read_container
from asr.audio.truncation import missing_end
from asr.errors import AudioError

SAMPLE_RATE = 16_000
LOUDEST = 100.0  # times full scale: no recording is so loud, but 16-bit numbers taken for floats are
AUDIO_SUFFIXES = frozenset(
    (
        *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".au", ".caf", ".w64", ".rf64"),
        *(".m4a", ".m4b", ".aac", ".wma", ".webm", ".mp4", ".mov", ".mkv", ".mka", ".amr", ".3gp", ".ac3"),
    )
)

Samples = np.ndarray[tuple[int], np.dtype[np.float32]]
Source = Path | bytes | BinaryIO


def name_of(source: Source) -> str:
    """What a source is called where nobody gave it a name."""
    return str(source) if isinstance(source, Path) else "audio bytes" if isinstance(source, bytes) else "stdin"


def read_blocks(source: Source, *, name: str | None = None, block_s: float = 10.0) -> Iterator[Samples]:
    """Blocks of some `block_s` seconds, (S,) float32 at 16 kHz, none empty. Raises AudioError.

    `source`: a path, the bytes of a file, or a binary stream (a pipe is spooled to disk first: formats need to seek).
    """
    called = name or name_of(source)
    try:
        yield from _checked_blocks(source, called, block_s)
    except OSError as error:  # the disk or the network under the file, not its content
        raise AudioError(called, f"cannot be read: {error.strerror or error}") from error


def _checked_blocks(source: Source, called: str, block_s: float) -> Iterator[Samples]:
    total = 0
    with _seekable(source, called) as file:
        for block in _resampled(_decoded(file, called, block_s)):
            _check_values(block, called, total)
            total += len(block)
            if len(block):
                yield block
        if total == 0:
            raise AudioError(called, "holds no samples; expected at least one")
        missing = missing_end(file)
    if missing:
        raise AudioError(
            called, f"truncated: {missing}; {total / SAMPLE_RATE:.1f} s could be read. Copy it again from its source"
        )


def _check_values(block: Samples, called: str, total: int) -> None:
    """`total`: samples before the block."""
    most = np.abs(block).max(initial=0.0)
    if not np.isfinite(most):
        problem = "holds values that are not finite"
    elif most > LOUDEST:
        problem = f"holds values up to {most:.3g}; expected floating-point samples within -1 to 1"
    else:
        return
    raise AudioError(called, f"{problem}, after {total / SAMPLE_RATE:.1f} s; export it again")


def read_audio(source: Source, *, name: str | None = None) -> Samples:
    """A whole recording: (S,) float32 at 16 kHz. Raises AudioError."""
    return np.concatenate(list(read_blocks(source, name=name)))


def probe_duration(path: Path) -> float | None:
    """Seconds by the file's header, or None where it does not say or cannot be read."""
    try:
        return float(soundfile.info(path).duration)
    except (soundfile.LibsndfileError, OSError):
        return None


def _seekable(source: Source, called: str) -> BinaryIO:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    if isinstance(source, Path):
        try:
            if source.is_dir():
                raise AudioError(called, "expected a recording; this is a folder")
            file: BinaryIO = source.open("rb")
        except OSError as error:
            raise AudioError(called, f"cannot be opened: {error.strerror or error}") from error
    else:
        file = tempfile.TemporaryFile()  # noqa: SIM115  (closed by the caller's `with`)
        shutil.copyfileobj(source, file)
        file.seek(0)
    if not file.read(1):
        file.close()
        raise AudioError(called, "empty: the file has 0 bytes; expected a recording")
    file.seek(0)
    return file


def _decoded(file: BinaryIO, called: str, block_s: float) -> Iterator[tuple[Samples, int]]:
    """Mono blocks with their rate in Hz."""
    try:
        sound = soundfile.SoundFile(file)
    except soundfile.LibsndfileError:
        file.seek(0)
        yield from read_container(file, called, block_s)
        return
    with sound:
        frames = round(block_s * sound.samplerate)
        read = 0
        try:
            while len(block := sound.read(frames, dtype="float32", always_2d=True)):
                read += len(block)
                yield block.mean(axis=1, dtype=np.float32), sound.samplerate
        except soundfile.LibsndfileError as error:
            raise AudioError(called, f"damaged or truncated after {read / sound.samplerate:.1f} s: {error}") from error
        # A header may overstate by a codec's padding, never by a quarter of a second.
        if 0 < sound.frames < sys.maxsize // 2 and sound.frames - read > sound.samplerate / 4:
            said, came = sound.frames / sound.samplerate, read / sound.samplerate
            raise AudioError(called, f"truncated: its header says {said:.1f} s, {came:.1f} s could be read")


def _resampled(blocks: Iterator[tuple[Samples, int]]) -> Iterator[Samples]:
    """To 16 kHz, each stretch of one rate as if it were one piece."""
    for rate, stretch in itertools.groupby(blocks, key=itemgetter(1)):
        if rate == SAMPLE_RATE:
            yield from (block for block, _ in stretch)
            continue
        stream = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32")
        for block, _ in stretch:
            yield stream.resample_chunk(block)
        yield stream.resample_chunk(np.zeros(0, np.float32), last=True)
