import pickle

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from asr import cutting, segments
from asr.audio.detector import FRAME
from asr.segments import SegmentConfig, Span
from tests.recordings import RECORDINGS, speech

CONFIG = SegmentConfig()
SHORT = SegmentConfig(longest_s=3.0)
PROBABILITIES = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.4, 0.6, 0.99]), st.integers(1, 60)), max_size=12).map(
    lambda runs: [probability for probability, count in runs for _ in range(count)]
)


def spans_of(config: SegmentConfig, probabilities: list[float], cuts: list[int], samples: int) -> list[Span]:
    state, found = segments.start(), []
    for begin, end in zip([0, *cuts], [*cuts, len(probabilities)], strict=True):
        opened = state.open_start
        state, spans = segments.step(config, pickle.loads(pickle.dumps(state)), probabilities[begin:end])
        if opened is not None and not spans:
            assert state.open_start == opened  # a start once said stays
        found += spans
    return found + segments.finish(config, state, samples)


@given(probabilities=PROBABILITIES, short_of=st.integers(0, FRAME - 1))
def test_each_sample_lies_in_exactly_one_span(probabilities: list[float], short_of: int) -> None:
    samples = max(0, len(probabilities) * FRAME - short_of)
    spans = spans_of(SHORT, probabilities, [], samples)
    borders = [0, *(span.end for span in spans)]
    assert [span.start for span in spans] == borders[:-1]
    assert borders[-1] == samples
    assert all(span.start < span.end for span in spans)


@given(probabilities=PROBABILITIES, cuts=st.lists(st.integers(0, 400), max_size=5))
def test_borders_are_invisible(probabilities: list[float], cuts: list[int]) -> None:
    cuts = sorted(min(cut, len(probabilities)) for cut in cuts)
    samples = len(probabilities) * FRAME
    assert spans_of(SHORT, probabilities, cuts, samples) == spans_of(SHORT, probabilities, [], samples)


@given(probabilities=PROBABILITIES)
def test_no_utterance_is_longer_than_the_longest_and_the_state_is_bounded(probabilities: list[float]) -> None:
    spans = spans_of(SHORT, probabilities, [], len(probabilities) * FRAME)
    assert all(
        span.end - span.start <= SHORT.longest * FRAME + SHORT.before_s * 16_000 for span in spans if span.speech
    )
    state, _ = segments.step(SHORT, segments.start(), probabilities * 5)
    assert len(state.heard) <= SHORT.longest + SHORT.shortest


@given(probabilities=PROBABILITIES)
def test_all_speech_long_enough_is_in_an_utterance(probabilities: list[float]) -> None:
    spans = spans_of(CONFIG, probabilities, [], len(probabilities) * FRAME)
    spoken = np.zeros(len(probabilities) * FRAME, bool)
    for span in spans:
        spoken[span.start : span.end] = span.speech
    run = 0
    for i, probability in enumerate(probabilities):
        run = run + 1 if probability >= CONFIG.onset else 0
        if run >= CONFIG.shortest:
            assert spoken[(i + 1 - run) * FRAME : (i + 1) * FRAME].all()


def test_speech_at_the_very_end_is_not_lost() -> None:
    spans = spans_of(CONFIG, [0.0] * 40 + [0.9], [], 41 * FRAME - 100)
    assert spans[-1].speech
    assert spans[-1].end == 41 * FRAME - 100


def test_what_grows_too_long_is_cut_where_it_is_least_like_speech() -> None:
    probabilities = [0.9] * 60 + [0.4] * 5 + [0.9] * 100  # the dip is in the second half of 3 s
    first, second = [span for span in spans_of(SHORT, probabilities, [], 165 * FRAME) if span.speech][:2]
    assert 60 * FRAME <= first.end <= 65 * FRAME
    assert second.start >= first.end


@given(probabilities=PROBABILITIES)
def test_speech_in_an_utterance_is_in_one_also_where_the_longest_is_cut(probabilities: list[float]) -> None:
    inside = []
    for config in (SegmentConfig(longest_s=1000.0), SHORT):
        spoken = np.zeros(len(probabilities), bool)
        for span in spans_of(config, probabilities, [], len(probabilities) * FRAME):
            spoken[span.start // FRAME : span.end // FRAME] = span.speech
        inside.append(spoken & (np.array(probabilities) >= config.offset))
    assert not (inside[0] & ~inside[1]).any()


@given(cuts=st.lists(st.integers(0, 100_000), max_size=4))
def test_utterances_hold_their_own_samples_however_the_stream_is_cut(cuts: list[int]) -> None:
    samples = speech(2)
    state, found = cutting.start(), []
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(samples)], strict=True):
        state, cut = cutting.step(CONFIG, pickle.loads(pickle.dumps(state)), samples[begin:end])
        found += cut
    found += cutting.finish(CONFIG, state)
    assert len(found) >= 2
    for cut in found:
        np.testing.assert_array_equal(cut.samples, samples[cut.span.start : cut.span.end])


def test_what_a_cutter_keeps_does_not_grow_with_time() -> None:
    state = cutting.start()
    sizes = []
    for _ in range(4):
        for second in np.array_split(speech(8), 60):
            state, _ = cutting.step(CONFIG, state, second)
            sizes.append(len(state.kept))
    assert max(sizes) <= (CONFIG.longest_s + 2) * 16_000
    assert len(RECORDINGS) == 8
    state, _ = cutting.step(CONFIG, state, np.zeros(16_000 * 60, np.float32))
    assert len(state.kept) < 16_000
