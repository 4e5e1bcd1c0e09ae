import pickle
import warnings

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.audio import detector
from asr.audio.detector import FRAME
from tests.recordings import speech


def test_it_is_sileros_own_network() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from silero_vad import load_silero_vad

        theirs = load_silero_vad()
    samples = speech(2)[: 200 * FRAME]
    expected = [theirs(torch.from_numpy(samples[i : i + FRAME]), 16_000).item() for i in range(0, len(samples), FRAME)]
    np.testing.assert_allclose(detector.detect(samples), expected, atol=1e-4)


@settings(max_examples=10)
@given(cuts=st.lists(st.integers(0, 30_000), max_size=6))
def test_borders_are_invisible_and_the_state_pickles(cuts: list[int]) -> None:
    samples = speech(1)[:30_000]
    state, found = detector.start(), []
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(samples)], strict=True):
        state, probabilities = detector.step(pickle.loads(pickle.dumps(state)), samples[begin:end])
        found.append(probabilities)
    found.append(detector.finish(state))
    np.testing.assert_allclose(np.concatenate(found), detector.detect(samples), atol=1e-5)


def test_streams_side_by_side_are_each_as_if_alone() -> None:
    sounds = [speech(1)[:6000], speech(2)[-6000:], np.zeros(6000, np.float32), speech(3)[:700]]
    for chosen in (sounds[:3], sounds):  # frames in step, and not
        begun = [detector.step(detector.start(), sound[:100])[0] for sound in chosen]
        together = detector.step_many([(state, sound[100:]) for state, sound in zip(begun, chosen, strict=True)])
        for state, sound, (after, probabilities) in zip(begun, chosen, together, strict=True):
            alone, expected = detector.step(state, sound[100:])
            np.testing.assert_allclose(probabilities, expected, atol=1e-5)
            np.testing.assert_allclose(after.hidden, alone.hidden, atol=1e-4)
            assert np.array_equal(after.tail, alone.tail)
            assert len(pickle.dumps(after)) < 6000


def test_a_step_does_not_write_into_its_state_and_the_state_stays_small() -> None:
    state, _ = detector.step(detector.start(), speech(2)[:40_001])
    before = (state.tail.copy(), state.hidden.copy())
    detector.step(state, speech(1)[:5000])
    assert np.array_equal(before[0], state.tail)
    assert np.array_equal(before[1], state.hidden)
    assert len(pickle.dumps(state)) < 5000


def test_speech_is_told_from_silence_and_hiss() -> None:
    assert (detector.detect(speech(4, pause_s=0)) > 0.5).mean() > 0.6
    assert (detector.detect(np.zeros(160_000, np.float32)) > 0.5).mean() == 0
    hiss = np.random.default_rng(0).normal(0, 0.05, 160_000).astype(np.float32)
    assert (detector.detect(hiss) > 0.5).mean() < 0.02


def test_every_sample_is_in_a_frame() -> None:
    for length in (0, 1, FRAME - 1, FRAME, FRAME + 1, 3 * FRAME):
        assert len(detector.detect(np.zeros(length, np.float32))) == -(-length // FRAME)
