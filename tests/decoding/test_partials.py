"""An utterance heard bit by bit ends as the whole one does, with the default model's own log-probabilities."""

import pickle
from functools import cache
from itertools import pairwise

import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.decoding.beam import BeamSearch
from asr.decoding.decoder import BeamReader, GreedyReader
from asr.decoding.hotwords import parse_hotwords
from asr.decoding.hypotheses import Hypothesis
from asr.decoding.partials import BeamPartials, GreedyPartials, Growing, Partials
from asr.recognizer import MODELS, Recognizer
from tests.recordings import RECORDINGS

pytestmark = pytest.mark.skipif(not (MODELS / "small").is_dir(), reason="there is no packaged model")
CUTS = st.lists(st.integers(0, 140), max_size=12)
FRAME_S = 0.04


@cache
def recognizer() -> Recognizer:
    return Recognizer.load(hotwords=parse_hotwords(["the wrong", "harry=3"]))


@cache
def spoken(recording: int) -> dict[str, torch.Tensor]:
    return recognizer().log_probs([soundfile.read(RECORDINGS[recording], dtype="float32")[0]])[0]


def parts(log_probs: torch.Tensor, cuts: list[int]) -> list[torch.Tensor]:
    borders = [0, *sorted(min(cut, len(log_probs)) for cut in cuts), len(log_probs)]
    return [log_probs[begin:end] for begin, end in pairwise(borders)]


def grown(partials: Partials, pieces: list[torch.Tensor]) -> list[Growing]:
    """After each piece; what is heard goes through a pickle each time."""
    heard = [partials.start()]
    for piece in pieces:
        heard.append(pickle.loads(pickle.dumps(partials.extend(heard[-1], piece))))
    return heard


def beam() -> BeamReader:
    decoder = recognizer().decoder
    assert isinstance(decoder, BeamReader)
    return decoder


@settings(max_examples=20)
@given(recording=st.integers(0, 7), cuts=CUTS)
def test_a_search_fed_in_pieces_ends_as_one_fed_at_once(recording: int, cuts: list[int]) -> None:
    log_probs = spoken(recording)[beam().search.config.head]
    search = BeamSearch(beam().search)
    for piece in parts(log_probs, cuts):
        search.feed(piece)
    found: list[Hypothesis] = search.finish()
    assert found == beam().search.decode(log_probs)
    assert len(found) > 1


@settings(max_examples=20)
@given(recording=st.integers(0, 7), cuts=CUTS)
def test_greedy_words_of_pieces_are_those_of_the_whole(recording: int, cuts: list[int]) -> None:
    reader = GreedyReader(recognizer().bundle)
    log_probs = spoken(recording)[reader.head]
    heard = grown(GreedyPartials(reader, frame_s=FRAME_S), parts(log_probs, cuts))[-1]
    whole, _ = reader.read({reader.head: log_probs}, frame_s=FRAME_S, end_s=len(log_probs) * FRAME_S)
    assert [(x.text, x.start_s, x.end_s) for x in heard.words] == [(x.text, x.start_s, x.end_s) for x in whole]
    assert [x.confidence for x in heard.words] == pytest.approx([x.confidence for x in whole], rel=1e-4)


@settings(max_examples=12)
@given(recording=st.integers(0, 7), cuts=CUTS)
def test_beam_partials_are_the_same_whether_their_search_was_kept_or_lost(recording: int, cuts: list[int]) -> None:
    pieces = parts(spoken(recording)[beam().search.config.head], cuts)
    kept = grown(BeamPartials(beam(), frame_s=FRAME_S), pieces)
    lost = grown(_Forgetful(beam(), frame_s=FRAME_S), pieces)
    assert [(x.words, x.stable, x.frames) for x in kept] == [(x.words, x.stable, x.frames) for x in lost]


class _Forgetful(BeamPartials):
    """As after a crash: every search is begun again."""

    def extend(self, heard: Growing, log_probs: torch.Tensor) -> Growing:  # type: ignore[override]
        found = super().extend(heard, log_probs)  # type: ignore[arg-type]
        self._searches.clear()
        return found


@pytest.mark.parametrize("recording", [0, 4])
def test_stable_words_stay_whatever_comes_later(recording: int) -> None:
    for partials, head in (
        (BeamPartials(beam(), frame_s=FRAME_S), beam().search.config.head),
        (GreedyPartials(GreedyReader(recognizer().bundle), frame_s=FRAME_S), "subword"),
    ):
        promised: list[str] = []
        for heard in grown(partials, list(torch.split(spoken(recording)[head], 3))):
            words = [word.text for word in heard.words]
            assert words[: len(promised)] == promised
            promised = words[: heard.stable]
        assert promised
