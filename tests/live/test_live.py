import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr import live
from asr.audio.reader import LOUDEST
from asr.errors import AudioError, ConfigError
from asr.events import Event, Final, Partial
from asr.model.latency import LatencyConfig
from asr.recognizer import Recognizer
from tests.pipelines.bundles import save_nonsense
from tests.recordings import RECORDINGS, speech


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    return Recognizer.load(save_nonsense(tmp_path_factory.mktemp("models") / "nonsense"))


def events_of(recognizer: Recognizer, samples: np.ndarray, cuts: list[int]) -> list[Event]:
    setup, state = recognizer.live_setup(delay_ms=320), live.start("a")
    events: list[Event] = []
    for begin, end in zip([0, *cuts], [*cuts, len(samples)], strict=True):
        state, said = live.step(setup, pickle.loads(pickle.dumps(state)), samples[begin:end])
        events += said
    return events + live.finish(setup, state)


@settings(max_examples=8)
@given(cuts=st.lists(st.integers(0, 150_000), max_size=5))
def test_borders_are_invisible_and_the_state_survives_a_pickle_anywhere(
    recognizer: Recognizer, cuts: list[int]
) -> None:
    samples = speech(2)
    cuts = sorted(min(cut, len(samples)) for cut in cuts)
    assert [x.fields() for x in events_of(recognizer, samples, cuts)] == [
        x.fields() for x in events_of(recognizer, samples, [])
    ]


def test_finals_are_what_transcribe_gives(recognizer: Recognizer, tmp_path: Path) -> None:
    import soundfile

    samples = speech(8)
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    finals = [x for x in events_of(recognizer, samples, [70_000, 70_001]) if isinstance(x, Final)]
    expected = [x for x in recognizer.transcribe(tmp_path / "a.wav").utterances if x.words]
    assert [(x.start_s, x.end_s, x.words) for x in finals if x.words] == [
        (x.start_s, x.end_s, x.words) for x in expected
    ]
    assert len(expected) >= 6


def test_what_was_said_to_be_stable_stays_within_the_partials(recognizer: Recognizer) -> None:
    promised: dict[int, str] = {}
    partials = [x for x in events_of(recognizer, speech(8), []) if isinstance(x, Partial)]
    assert partials
    for partial in partials:
        assert partial.text.startswith(promised.get(partial.utterance, ""))
        promised[partial.utterance] = partial.text[: partial.stable_chars]
    assert any(promised.values())


def test_streams_side_by_side_say_what_each_says_alone(recognizer: Recognizer) -> None:
    setup = recognizer.live_setup(delay_ms=320)
    sounds = [speech(1), np.zeros(0, np.float32), speech(3)[40_000:], np.zeros(50_000, np.float32)]
    states = [live.start(str(i)) for i in range(len(sounds))]
    together: list[list[Event]] = [[] for _ in sounds]
    for first in range(0, 200_000, 4321):
        pushed = [(state, sound[first : first + 4321]) for state, sound in zip(states, sounds, strict=True)]
        for i, (state, said) in enumerate(live.step_many(setup, pushed)):
            states[i] = state
            together[i] += said
    for i, sound in enumerate(sounds):
        together[i] += live.finish(setup, states[i])
        alone = events_of(recognizer, sound[:203_087], [])
        assert [getattr(x, "text", "") for x in together[i]] == [getattr(x, "text", "") for x in alone]


def test_a_step_does_not_write_into_its_state(recognizer: Recognizer) -> None:
    setup = recognizer.live_setup()
    state, _ = live.step(setup, live.start(), speech(2)[:100_000])
    before = pickle.dumps(state)
    live.step(setup, state, speech(1))
    assert pickle.dumps(state) == before


def test_ten_minutes_leave_no_larger_a_state_than_ten_seconds(recognizer: Recognizer) -> None:
    setup, state, sizes = recognizer.live_setup(), live.start(), list[int]()
    ten_seconds = np.resize(speech(2), 160_000)  # ends within speech, so an utterance is open
    for _ in range(60):
        state, _ = live.step(setup, state, ten_seconds)
        sizes.append(len(pickle.dumps(state)))
    assert state.hearing.samples == 60 * len(ten_seconds)
    assert max(sizes) <= 1.02 * sizes[0]
    assert sizes[0] < 22 * 16_000 * 4 + 100_000  # the longest utterance's own samples, and little else
    state, _ = live.step(setup, state, np.zeros(160_000, np.float32))
    assert len(pickle.dumps(state)) < 100_000


def test_the_last_word_is_not_lost_when_the_sound_stops_short(recognizer: Recognizer) -> None:
    import soundfile

    samples = soundfile.read(RECORDINGS[0], dtype="float32")[0]
    for end in (len(samples) // 2, len(samples) // 2 + 777):
        finals = [x for x in events_of(recognizer, samples[:end], []) if isinstance(x, Final)]
        assert finals[-1].end_s == pytest.approx(end / 16_000)


def test_silence_says_nothing(recognizer: Recognizer) -> None:
    assert events_of(recognizer, np.zeros(320_000, np.float32), [1, 5000]) == []


def test_the_friendly_object_is_the_same_steps(recognizer: Recognizer) -> None:
    samples, stream = speech(2), recognizer.live(delay_ms=320, stream="a")
    said = [event for part in np.array_split(samples, 7) for event in stream.push(part)] + stream.finish()
    assert [x.fields() for x in said] == [x.fields() for x in events_of(recognizer, samples, [])]


def test_events_are_json_and_counted(recognizer: Recognizer) -> None:
    said = [json.loads(json.dumps(x.fields())) for x in events_of(recognizer, speech(2), [])]
    assert [x["seq"] for x in said] == list(range(len(said)))
    assert {x["type"] for x in said} == {"partial", "final"}
    assert all(x["version"] == 1 and x["stream"] == "a" for x in said)


def test_a_delay_is_parted_into_new_frames_and_right_context() -> None:
    assert LatencyConfig.of_delay(960, bidirectional=True, frame_ms=40) == LatencyConfig(16, 8)
    assert LatencyConfig.of_delay(960, bidirectional=True, frame_ms=32) == LatencyConfig(20, 10)
    assert LatencyConfig.of_delay(480, bidirectional=True, frame_ms=40) == LatencyConfig(8, 4)
    assert LatencyConfig.of_delay(320, bidirectional=False, frame_ms=40) == LatencyConfig(8, 0)
    with pytest.raises(ConfigError, match="at least 32 ms"):
        LatencyConfig.of_delay(10, bidirectional=True, frame_ms=32)


def test_samples_that_are_no_numbers_are_silence_and_what_follows_is_heard(recognizer: Recognizer) -> None:
    samples = speech(1)
    broken = np.concatenate([np.array([np.nan, np.inf, -1e30], np.float32), samples])
    live = recognizer.live()
    said = [event.text for event in [*live.push(broken), *live.finish()] if isinstance(event, Final)]
    assert " ".join(said).strip()


@pytest.mark.parametrize("form", [np.float64, ">f4", list, torch.from_numpy])
def test_floats_of_any_width_lists_and_tensors_are_heard_as_float32(recognizer: Recognizer, form: Any) -> None:
    samples, stream = speech(1)[:60_000], recognizer.live(delay_ms=320, stream="a")
    given = form(samples) if form in (list, torch.from_numpy) else samples.astype(form)
    said = [*stream.push(given[:50_000]), *stream.push(given[50_000:]), *stream.push(given[:0]), *stream.finish()]
    assert [x.fields() for x in said] == [x.fields() for x in events_of(recognizer, samples, [])]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.zeros(4000, np.int16), "got int16: divide whole numbers by full scale"),
        ([0, 1, -1], "got int64"),
        (np.zeros(4000, bool), "got bool"),
        (np.zeros(4000, np.complex64), "got complex64"),
        (np.zeros((2, 4000), np.float32), r"got shape \(2, 4000\): give one channel, or their mean"),
        (np.float32(0), r"got shape \(\)"),
        (b"\0\0", r"got shape \(\)"),
        ([[0.1], [0.1, 0.2]], "got a list: .* inhomogeneous"),
        (torch.zeros(4000, requires_grad=True), "got a Tensor: .*detach"),
        (torch.zeros(4000, device="meta"), "got a Tensor: .*cpu"),
    ],
    ids=["int16", "list", "bool", "complex", "stereo", "scalar", "bytes", "ragged", "gradient", "device"],
)
def test_what_is_no_row_of_floats_is_an_error_before_the_stream_has_moved(
    recognizer: Recognizer, given: Any, said: str
) -> None:
    stream = recognizer.live()
    stream.push(speech(1)[:50_000])
    before, kept = stream.state, pickle.dumps(stream.state)
    with pytest.raises(AudioError, match=f"pushed samples: expected floats within -1 to 1.*{said}"):
        stream.push(given)
    assert stream.state is before
    assert pickle.dumps(stream.state) == kept


def test_a_float64_beyond_all_float32_is_held_at_the_loudest(recognizer: Recognizer) -> None:
    state, _ = live.step(recognizer.live_setup(), live.start(), np.array([np.nan, np.inf, -1e300, 0.5]))
    np.testing.assert_array_equal(state.hearing.tail, np.array([0, LOUDEST, -LOUDEST, 0.5], np.float32))
