"""The laws of a stream with the packaged model, on real recordings, partials and finals by its beam."""

import pickle
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from asr import live
from asr.events import Event, Final, Partial
from asr.live import LiveSetup
from asr.recognizer import MODELS, Recognizer
from tests.recordings import RECORDINGS

pytestmark = pytest.mark.skipif(not (MODELS / "small").is_dir(), reason="there is no packaged model")
SHORT = sorted(RECORDINGS, key=lambda path: soundfile.info(path).duration)[:3]
PAUSE = np.zeros(16_000, np.float32)


@cache
def recognizer() -> Recognizer:
    return Recognizer.load()


@cache
def setup() -> LiveSetup:
    return recognizer().live_setup(delay_ms=480, partials="beam")


@cache
def sound(count: int = len(SHORT)) -> np.ndarray:
    """Short recordings with pauses: (S,)."""
    return np.concatenate([np.append(soundfile.read(path, dtype="float32")[0], PAUSE) for path in SHORT[:count]])


def events_of(samples: np.ndarray, cuts: list[int]) -> list[Event]:
    """Pushed in pieces; the state goes through a pickle before each."""
    state, events = live.start(), list[Event]()
    for piece in np.split(samples, cuts):
        state, said = live.step(setup(), pickle.loads(pickle.dumps(state)), piece)
        events += said
    return events + live.finish(setup(), state)


def told(events: list[Event]) -> list[tuple[str, str, int]]:
    """Kind, text and what is stable of it."""
    return [(x.type, getattr(x, "text", ""), getattr(x, "stable_chars", 0)) for x in events]


@cache
def at_once() -> list[Event]:
    return events_of(sound(), [])


@settings(max_examples=3)
@given(cuts=st.lists(st.integers(0, len(SHORT) * 70_000), max_size=6))
def test_borders_are_invisible_and_the_state_survives_a_pickle_at_any_of_them(cuts: list[int]) -> None:
    assert told(events_of(sound(), sorted(min(cut, len(sound())) for cut in cuts))) == told(at_once())


def test_pushes_as_a_microphone_gives_them_say_what_one_push_says() -> None:
    samples = sound(1)
    assert told(events_of(samples, list(range(800, len(samples), 800)))) == told(events_of(samples, []))


def test_finals_are_what_transcribe_gives_and_each_recordings_words_are_among_them(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", sound(), 16_000, subtype="FLOAT")
    finals = [x for x in at_once() if isinstance(x, Final)]
    expected = [x for x in recognizer().transcribe(tmp_path / "a.wav").utterances if x.words]
    assert [(x.start_s, x.end_s, x.words, x.alternatives) for x in finals] == [
        (x.start_s, x.end_s, x.words, x.alternatives) for x in expected
    ]
    assert len(finals) >= len(SHORT)


def test_stable_text_never_changes_within_the_partials() -> None:
    promised: dict[int, str] = {}
    for partial in (x for x in at_once() if isinstance(x, Partial)):
        assert partial.text.startswith(promised.get(partial.utterance, ""))
        promised[partial.utterance] = partial.text[: partial.stable_chars]
    assert any(promised.values())


def test_streams_side_by_side_say_what_each_says_alone() -> None:
    sounds = [sound(2), np.append(PAUSE[:9_000], sound(1)), PAUSE, sound(3)[-70_000:]]
    states = [live.start() for _ in sounds]
    together: list[list[Event]] = [[] for _ in sounds]
    for first in range(0, max(map(len, sounds)), 5_120):
        given = [(state, samples[first : first + 5_120]) for state, samples in zip(states, sounds, strict=True)]
        for i, (state, said) in enumerate(live.step_many(setup(), given)):
            states[i] = state
            together[i] += said
    for i, samples in enumerate(sounds):
        assert told(together[i] + live.finish(setup(), states[i])) == told(events_of(samples, []))
