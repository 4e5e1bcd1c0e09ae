"""Files, bytes and pipes become float32 samples, mono, 16 kHz, in blocks, so that hours never lie in memory.

soundfile reads wav, flac, ogg, opus and mp3; what it does not know is given to PyAV (m4a, aac, wma, webm, mp4 and
others). The content decides, not the name. A truncated or damaged recording gives the blocks before the damage, then
AudioError. Of a part of a recording only its own samples come, the same that the whole has there.
"""

import io
import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO, TypeGuard, cast

import numpy as np
import soundfile
import soxr
from numpy.typing import ArrayLike

from asr.audio.blocks import in_blocks
from asr.audio.containers import read_container
from asr.audio.given import floats
from asr.audio.joined import begins_anew, goes_on
from asr.audio.mixing import Channels, mix
from asr.audio.parts import Part
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
File = Path | bytes | BinaryIO
Source = File | str | Part | ArrayLike


def name_of(source: Source) -> str:
    """What a source is called where nobody gave it a name."""
    if isinstance(source, Part):
        return name_of(source.recording) + source.label
    if isinstance(source, Path | str):
        return str(source)
    return "audio bytes" if isinstance(source, bytes) else "stdin" if hasattr(source, "read") else "samples"


def read_blocks(
    source: Source,
    *,
    name: str | None = None,
    block_s: float = 10.0,
    tell: Callable[[str], None] = lambda _: None,
) -> Iterator[Samples]:
    """Blocks of some `block_s` seconds, (S,) float32 at 16 kHz, none empty. Raises AudioError.

    `source`: a path, the bytes of a file, a binary stream (a pipe is spooled to disk first: formats need to seek), a
    part of a recording, or its samples: (S,) floats at 16 kHz, within -1 to 1. `tell`: what a person should know of
    how it is read, in words.
    """
    called = name or name_of(source)
    if isinstance(source, str):
        source = Path(source)
    try:
        if _is_coded(source):
            yield from _checked_blocks(source, called, block_s, tell)
        else:
            yield from _blocks_of(cast(ArrayLike, source), called, block_s)
    except OSError as error:  # the disk or the network under the file, not its content
        raise AudioError(called, f"cannot be read: {error.strerror or error}") from error


def _is_coded(source: Source) -> TypeGuard[File | Part]:
    return isinstance(source, Path | bytes | Part) or hasattr(source, "read")


def _blocks_of(samples: ArrayLike, called: str, block_s: float) -> Iterator[Samples]:
    values = floats(samples, called)
    if not len(values):
        raise AudioError(called, _nothing(0))
    size = max(1, round(block_s * SAMPLE_RATE))
    for place in range(0, len(values), size):
        block = values[place : place + size].astype(np.float32, copy=False)
        _check_values(block, called, place)
        yield block


def _checked_blocks(source: File | Part, called: str, block_s: float, tell: Callable[[str], None]) -> Iterator[Samples]:
    whole, first, last = _bounds(source, called)
    skipped_s = max(0, first // SAMPLE_RATE - 1)  # on whole seconds both rates have a sample; one is there to settle in
    place = skipped_s * SAMPLE_RATE
    with _seekable(whole, called) as file:
        for block in _resampled(mix(_decoded(file, called, block_s, skipped_s, tell), tell)):
            wanted = block[max(0, first - place) : None if last is None else max(0, last - place)]
            _check_values(wanted, called, place)
            place += len(block)
            if len(wanted):
                yield wanted
            if last is not None and place >= last:
                return
        if place <= first:
            raise AudioError(called, _nothing(first))
        missing, another = missing_end(file), begins_anew(file)
    if another:
        raise AudioError(
            called, f"another recording begins behind its end, after {place / SAMPLE_RATE:.1f} s; take the file apart"
        )
    if missing:
        raise AudioError(
            called, f"truncated: {missing}; {place / SAMPLE_RATE:.1f} s could be read. Copy it again from its source"
        )
    if last is not None and last - place > SAMPLE_RATE / 4:  # lists round their times
        said, came = last / SAMPLE_RATE, place / SAMPLE_RATE
        raise AudioError(called, f"expected a part that ends at {said:.1f} s; the recording ends at {came:.1f} s")


def _bounds(source: File | Part, called: str) -> tuple[File, int, int | None]:
    """The recording, the first of its samples to read, and the one after the last."""
    if not isinstance(source, Part):
        return source, 0, None
    first, last = source.bounds(SAMPLE_RATE)
    if first < 0 or (last is not None and last <= first):
        said = f"offset {source.offset_s} s, duration {source.duration_s} s"
        raise AudioError(called, f"expected a part that begins at 0 s or later and lasts, got {said}")
    return source.recording, first, last


def _nothing(first: int) -> str:
    if not first:
        return "holds no samples; expected at least one"
    return f"ends before {first / SAMPLE_RATE:.1f} s, where the part begins; are its times in seconds?"


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
        return float(soundfile.info(os.fsencode(path)).duration)  # a name need not be UTF-8
    except (soundfile.LibsndfileError, OSError):
        return None


def _seekable(source: File, called: str) -> BinaryIO:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    if isinstance(source, Path):
        try:
            if source.is_dir():
                raise AudioError(called, "expected a recording; this is a folder")
            file: BinaryIO = source.open("rb")
            if not file.seekable():  # a pipe with a name, as of <(command)
                with file as pipe:
                    file = _spooled(pipe)
        except OSError as error:
            raise AudioError(called, f"cannot be opened: {error.strerror or error}") from error
    else:
        file = _spooled(source)
    if not file.read(1):
        file.close()
        raise AudioError(called, "empty: the file has 0 bytes; expected a recording")
    file.seek(0)
    return file


def _spooled(pipe: BinaryIO) -> BinaryIO:
    file = tempfile.TemporaryFile()  # noqa: SIM115  (closed by the caller's `with`)
    shutil.copyfileobj(pipe, file)
    file.seek(0)
    return file


class _InOrder(soundfile.SoundFile):  # type: ignore[misc]
    """A file read from front to back. soundfile seeks after each read; in an mp3 that spoils what comes next."""

    def seekable(self) -> bool:
        """No, so it does not."""
        return False


def _known(file: BinaryIO) -> _InOrder | None:
    """A file of which soundfile reads everything."""
    if goes_on(file):
        return None
    file.seek(0)
    try:
        sound = _InOrder(file)
    except soundfile.LibsndfileError:
        return None
    if sound.frames:
        return sound
    sound.close()  # a recorder that died may have left a length of 0: FFmpeg reads on to the file's end
    return None


def _decoded(
    file: BinaryIO, called: str, block_s: float, skipped_s: int, tell: Callable[[str], None]
) -> Iterator[tuple[Channels, int]]:
    """Blocks (S, C) with their rate in Hz, without the first `skipped_s` seconds."""
    sound = _known(file)
    if sound is None:
        file.seek(0)
        yield from _without_first(skipped_s, read_container(file, called, block_s, tell))
        return
    with sound:
        if sound.format == "MP3":  # its frames build upon each other
            yield from _without_first(skipped_s, _sound_blocks(sound, called, block_s, 0))
        else:
            yield from _sound_blocks(sound, called, block_s, skipped_s)


def _sound_blocks(sound: _InOrder, called: str, block_s: float, begin_s: int) -> Iterator[tuple[Channels, int]]:
    """Read in tenths of a second: soundfile gives nothing of a piece in which damage lies."""
    return in_blocks(_pieces(sound, called, min(block_s, 0.1), begin_s), block_s)


def _pieces(sound: _InOrder, called: str, piece_s: float, begin_s: int) -> Iterator[tuple[Channels, int]]:
    read = min(begin_s * sound.samplerate, sound.frames)
    size = max(1, int(piece_s * sound.samplerate))
    try:
        if read:
            sound.seek(read)
        while len(piece := sound.read(size, dtype="float32", always_2d=True)):
            read += len(piece)
            yield piece, sound.samplerate
    except soundfile.LibsndfileError as error:
        raise AudioError(called, f"damaged or truncated after {read / sound.samplerate:.1f} s: {error}") from error
    # A header may overstate by a codec's padding, never by a quarter of a second.
    if 0 < sound.frames < sys.maxsize // 2 and sound.frames - read > sound.samplerate / 4:
        said, came = sound.frames / sound.samplerate, read / sound.samplerate
        raise AudioError(called, f"truncated: its header says {said:.1f} s, {came:.1f} s could be read")


def _without_first(seconds: int, blocks: Iterator[tuple[Channels, int]]) -> Iterator[tuple[Channels, int]]:
    """The same sound that begins later. A container is decoded up to there: few of them can seek to a sample."""
    left = float(seconds)
    for block, rate in blocks:  # whose rate may change
        rest = block[round(left * rate) :]
        left -= (len(block) - len(rest)) / rate
        if len(rest):
            yield rest, rate


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
