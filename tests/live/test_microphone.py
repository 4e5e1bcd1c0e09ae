import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from asr.audio import microphone
from asr.audio.microphone import Notice, Watch, list_devices, listen
from asr.errors import AudioError
from tests.recordings import tone


class FakeSound:
    """A `sounddevice` whose device plays what it is told, then goes silent; `plays` counts openings."""

    class PortAudioError(Exception):
        pass

    def __init__(self, plays: list[np.ndarray | None], rate: float = 48_000, overflow: bool = False) -> None:
        self.plays, self.rate, self.overflow = plays, rate, overflow
        self.default = SimpleNamespace(device=(0, 1))

    def query_devices(self, device: object = None, kind: str = "") -> Any:
        found = {"name": "Fake", "max_input_channels": 2, "default_samplerate": self.rate}
        return found if kind else [found, {"name": "Speaker", "max_input_channels": 0, "default_samplerate": 1.0}]

    late_s = 0.0  # before the first callback

    def InputStream(self, *, callback: Callable[..., None], blocksize: int, channels: int, **_: Any) -> Any:  # noqa: N802
        play = self.plays.pop(0)
        if play is None:
            raise self.PortAudioError("Device unavailable")

        def run() -> None:
            threading.Event().wait(self.late_s)
            for first in range(0, len(play), blocksize):
                block = np.tile(play[first : first + blocksize, None], (1, channels))
                callback(block, len(block), None, SimpleNamespace(input_overflow=self.overflow))

        return SimpleNamespace(start=lambda: threading.Thread(target=run).start(), close=lambda: None)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(microphone, "SILENT_S", 0.15)
    monkeypatch.setattr(time, "sleep", lambda _: None)


def heard(sound: FakeSound, returns: int) -> tuple[np.ndarray, list[str]]:
    """Everything until the device has been opened so many times and lost again."""
    samples, notices = [np.zeros(0, np.float32)], []
    for part in listen(sounddevice=sound):
        if isinstance(part, Notice):
            notices.append(part.message)
            if sum("gives no sound" in x for x in notices) == returns:
                break
        else:
            samples.append(part)
    return np.concatenate(samples), notices


def test_the_devices_own_rate_becomes_sixteen_kilohertz() -> None:
    samples, notices = heard(FakeSound([tone(2.0, 44_100)], 44_100), 1)
    assert abs(len(samples) - 32_000) < 10
    assert np.abs(np.fft.rfft(samples[:16_000])).argmax() == 440
    assert notices[0] == "listening to Fake at 44100 Hz"


def test_a_device_that_is_lost_is_opened_again_when_it_returns_and_nothing_before_is_lost() -> None:
    samples, notices = heard(FakeSound([tone(1.0, 48_000), None, None, tone(1.0, 48_000)]), 2)
    assert abs(len(samples) - 32_000) < 20
    assert sum("listening" in x for x in notices) == 2
    assert sum("waiting for it to return" in x for x in notices) == 2


def test_a_device_that_cannot_be_opened_at_first_is_an_error_that_says_where_to_look() -> None:
    with pytest.raises(AudioError, match="--list-devices"):
        next(iter(listen(sounddevice=FakeSound([None]))))


def test_a_sound_system_may_take_a_while_to_begin() -> None:
    sound = FakeSound([tone(1.0, 48_000)])
    sound.late_s = 3 * microphone.SILENT_S
    samples, notices = heard(sound, 1)
    assert abs(len(samples) - 16_000) < 10
    assert len(notices) == 2


def test_an_overflow_is_said() -> None:
    _, notices = heard(FakeSound([tone(0.5, 48_000)], overflow=True), 1)
    assert any("lost some samples" in x for x in notices)


def test_zeros_and_clipping_are_said_once_and_good_sound_is_not() -> None:
    watch = Watch()
    assert [x for _ in range(50) for x in watch.judge(tone(0.1), 16_000)] == []
    silent = [x.message for _ in range(60) for x in watch.judge(np.zeros(1600, np.float32), 16_000)]
    assert len(silent) == 1
    assert "muted" in silent[0]
    loud = [x.message for _ in range(50) for x in watch.judge(np.sign(tone(0.1)), 16_000)]
    assert len(loud) == 1
    assert "clips" in loud[0]


def test_only_devices_that_record_are_listed() -> None:
    [line] = list_devices(FakeSound([]))
    assert line == "*   0  Fake  (2 channels, 48000 Hz)"


class Balanced(FakeSound):
    """A balanced plug in a stereo input: the right channel is the left one turned round."""

    def InputStream(self, *, callback: Callable[..., None], **options: Any) -> Any:  # noqa: N802
        def turned(block: np.ndarray, *rest: Any) -> None:
            callback(block * np.array([1, -1], np.float32), *rest)

        return super().InputStream(callback=turned, **options)


def test_a_microphone_with_channels_in_opposite_phase_is_heard_and_it_is_said_once() -> None:
    samples, notices = heard(Balanced([tone(2.0, 48_000)]), 1)
    expected, _ = heard(FakeSound([tone(2.0, 48_000)]), 1)
    np.testing.assert_allclose(samples, expected, atol=1e-6)
    assert sum("opposite phase" in x for x in notices) == 1
    assert not any("zeros" in x for x in notices)
