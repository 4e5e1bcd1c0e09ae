"""A microphone as a stream of samples and notices.

The device runs at its own rate; we resample. Nothing is dropped in silence.
"""

import contextlib
import queue
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import soxr

from asr.audio import mixing
from asr.audio.mixing import Channels
from asr.audio.reader import SAMPLE_RATE
from asr.errors import AudioError

Samples = np.ndarray[tuple[int], np.dtype[np.float32]]

QUEUED_S = 30.0  # of sound that may wait for the recogniser; then the oldest is dropped, and said to be
SILENT_S = 1.0  # without a callback: the device is thought dead
FIRST_S = 5.0  # that the first callback may take: PulseAudio needs up to two seconds
ZEROS_S = 3.0  # of exact zeros: a muted or blocked microphone (a real one always hisses)
CLIPPED = 0.01  # share of samples at full scale in a second


@dataclass(frozen=True)
class Notice:
    """Something that a person at the microphone should know."""

    message: str


def load_sounddevice() -> Any:
    """The module, or AudioError with what to install: it needs PortAudio."""
    try:
        import sounddevice
    except OSError as error:
        raise AudioError(
            "microphone", "PortAudio is not installed; on Debian and Ubuntu: apt-get install libportaudio2"
        ) from error
    return sounddevice


def list_devices(sounddevice: Any) -> list[str]:
    """A line for each device that records: number, name, channels, rate; the default one is marked."""
    default = sounddevice.default.device[0]
    return [
        f"{'*' if number == default else ' '} {number:3d}  {device['name']}  "
        f"({device['max_input_channels']} channels, {device['default_samplerate']:.0f} Hz)"
        for number, device in enumerate(sounddevice.query_devices())
        if device["max_input_channels"] > 0
    ]


class Watch:
    """Judges what comes from a device: stretches of zeros, clipping. Says each thing once until it has passed."""

    def __init__(self) -> None:
        self._zeros_s, self._said_zeros, self._clipped_until = 0.0, False, 0.0
        self._heard_s = 0.0

    def judge(self, samples: Samples, rate: float) -> list[Notice]:
        """Notices about one block of a device's samples."""
        seconds = len(samples) / rate
        self._heard_s += seconds
        notices = []
        silent = not samples.any()
        self._zeros_s = self._zeros_s + seconds if silent else 0.0
        if self._zeros_s >= ZEROS_S and not self._said_zeros:
            notices.append(Notice("only zeros come from the microphone: is it muted, or blocked for this program?"))
        self._said_zeros = self._zeros_s >= ZEROS_S
        if (np.abs(samples) > 0.999).mean() > CLIPPED and self._heard_s > self._clipped_until:
            notices.append(Notice("the microphone is too loud and clips: turn its level down"))
            self._clipped_until = self._heard_s + 10.0
        return notices


class _Opened:
    """One opening of a device: its callback fills a bounded queue."""

    def __init__(self, sounddevice: Any, device: int | str | None) -> None:
        self._sounddevice = sounddevice
        try:
            found = sounddevice.query_devices(device, "input")
            self.rate = float(found["default_samplerate"])
            self.name = str(found["name"])
            block = mixing.piece_samples(self.rate)
            self.blocks: queue.Queue[Channels] = queue.Queue(int(QUEUED_S * 20))
            self.overflows, self.dropped = 0, 0
            self.channels = min(2, int(found["max_input_channels"]))
            self._stream = sounddevice.InputStream(
                samplerate=self.rate, device=device, channels=self.channels, blocksize=block, callback=self._heard
            )
            self._stream.start()
        except (sounddevice.PortAudioError, ValueError) as error:
            raise AudioError(
                f"microphone {device if device is not None else '(default)'}",
                f"cannot be opened: {error}. See asr live --list-devices",
            ) from error

    def _heard(self, data: Any, _frames: int, _time: Any, status: Any) -> None:
        self.overflows += bool(status.input_overflow)
        try:
            self.blocks.put_nowait(data.copy())
        except queue.Full:
            self.dropped += 1

    def close(self) -> None:
        with contextlib.suppress(self._sounddevice.PortAudioError):  # it may have gone already
            self._stream.close()


def listen(device: int | str | None = None, *, sounddevice: Any = None) -> Iterator[Samples | Notice]:
    """Samples, (S,) float32 at 16 kHz, and notices, without end. Raises AudioError if it cannot be opened at first.

    A device that is lost is looked for every second and opened again; what was heard before is not touched.
    """
    sounddevice = sounddevice or load_sounddevice()
    opened = _Opened(sounddevice, device)
    while True:
        yield Notice(f"listening to {opened.name} at {opened.rate:.0f} Hz")
        try:
            yield from _blocks(opened)
        finally:
            opened.close()
        yield Notice(f"{opened.name} gives no sound any more; waiting for it to return")
        opened = _reopened(sounddevice, device)


def _blocks(opened: _Opened) -> Iterator[Samples | Notice]:
    """Until no callback comes for a while."""
    resample = soxr.ResampleStream(opened.rate, SAMPLE_RATE, 1, dtype="float32")
    watch, overflows, dropped, patience = Watch(), 0, 0, FIRST_S
    mixed, turned = mixing.start(opened.channels), False
    while True:
        try:
            block, patience = opened.blocks.get(timeout=patience), SILENT_S
        except queue.Empty:
            yield resample.resample_chunk(mixing.finish(mixed), last=True)
            return
        mixed, mono = mixing.step(mixed, block, opened.rate)
        if mixed.turned and not turned:
            turned = True
            yield Notice(f"{opened.name}: {mixing.OPPOSITE}")
        yield from watch.judge(mono, opened.rate) if len(mono) else ()
        if opened.overflows > overflows:
            overflows = opened.overflows
            yield Notice("the sound system lost some samples: this machine is too busy")
        if opened.dropped > dropped:
            yield Notice(
                f"{(opened.dropped - dropped) / 20:.1f} s were dropped: recognition is slower than speech here"
            )
            dropped = opened.dropped
        yield resample.resample_chunk(mono)


def _reopened(sounddevice: Any, device: int | str | None) -> _Opened:
    while True:
        time.sleep(1.0)
        try:
            return _Opened(sounddevice, device)
        except AudioError:
            continue
