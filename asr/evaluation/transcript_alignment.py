"""Where the words of a known text lie in a recording, and which of them are not in it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from asr import cutting
from asr.audio.reader import SAMPLE_RATE, read_blocks
from asr.cutting import Cut
from asr.decoding.alignment import AlignedToken, AlignmentError, align, aligned_words
from asr.decoding.words import Transcript, Utterance, Word
from asr.errors import ConfigError
from asr.model.units import BLANK, Units
from asr.recognizer import Recognizer, Source

MISSING = 0.1  # a word whose tokens' mean posterior is below this is probably not there
_SILENCE = -30.0  # log-probability of anything but a blank where no speech is


@dataclass(frozen=True)
class TimedToken:
    """A token of the model; times in seconds."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class TextAlignment:
    """Every word of the text with its times and, as confidence, its score; the tokens; words that seem not there."""

    transcript: Transcript
    tokens: tuple[TimedToken, ...]
    missing: tuple[Word, ...]


def align_text(recognizer: Recognizer, source: Source, text: str, *, name: str, head: str = "subword") -> TextAlignment:
    """Align a whole text with a whole recording. Raises AudioError, AlignmentError, ConfigError.

    The network hears one utterance at a time; the search goes over all of them at once, because nothing but the
    search knows which words belong to which. Memory: log-probabilities (25 frames a second) and some rows of scores.
    """
    units = _units(recognizer, head)
    spelled = list(_spelled(text, units))
    spans, rows, times, duration_s = _listen(recognizer, source, name, head)
    try:
        tokens = align(rows, [token for _, ids in spelled for token in ids])
    except AlignmentError as error:
        raise AlignmentError(name, error.problem) from error
    groups = list(_grouped(tokens, [len(ids) for _, ids in spelled]))
    words = aligned_words([word for word, _ in spelled], groups, times, recognizer.frame_s)
    timed = tuple(_timed(token, units, times, recognizer.frame_s) for token in tokens)
    transcript = Transcript(name, duration_s, tuple(_utterances(spans, words)))
    return TextAlignment(transcript, timed, tuple(word for word in words if word.confidence < MISSING))


def _units(recognizer: Recognizer, head: str) -> Units:
    heads = recognizer.bundle.model.config.heads
    if head not in heads:
        raise ConfigError("--head", f"expected one of this model's heads ({', '.join(heads)}), got {head!r}")
    return recognizer.bundle.units[heads[head].units]


def _spelled(text: str, units: Units) -> Iterator[tuple[str, list[int]]]:
    """Each word as it is written, with its tokens. A word of punctuation alone is no word."""
    for word in text.split():
        said = "".join(x for x in word.lower().replace("’", "'") if x.isalnum() or x == "'").strip("'")
        ids = units.encode(said) if said else None
        if said and not ids:
            raise ConfigError("text", f"these units cannot write {word!r}; spell it as it is said, or use another head")
        if ids:
            yield word, ids


def _listen(recognizer: Recognizer, source: Source, name: str, head: str) -> tuple[list[Cut], Any, Any, float]:
    """Utterances without their samples; (T', V) log-probabilities; (T',) each frame's seconds; the duration."""
    spans: list[Cut] = []
    rows: list[Any] = []
    times: list[Any] = []
    state = cutting.start()
    for block in read_blocks(source, name=name):
        state, cuts = cutting.step(recognizer.segments, state, block)
        _hear(recognizer, cuts, head, spans, rows, times)
    _hear(recognizer, cutting.finish(recognizer.segments, state), head, spans, rows, times)
    if not rows:
        raise AlignmentError(name, "no speech was found; nothing can be aligned with it")
    return spans, np.concatenate(rows), np.concatenate(times), state.samples / SAMPLE_RATE


def _hear(
    recognizer: Recognizer, cuts: list[Cut], head: str, spans: list[Cut], rows: list[Any], times: list[Any]
) -> None:
    """Add the frames of these utterances, each followed by one frame of silence."""
    for cut in cuts:
        found = recognizer.log_probs([cut.samples], (head,))[0][head].float().cpu().numpy()
        silence = np.full((1, found.shape[1]), _SILENCE, np.float32)
        silence[0, 0] = 0.0
        rows.extend([found, silence])
        times.append(cut.span.start / SAMPLE_RATE + np.arange(len(found) + 1) * recognizer.frame_s)
        spans.append(Cut(cut.span, cut.samples[:0].copy()))


def _grouped(tokens: list[AlignedToken], counts: list[int]) -> Iterator[list[AlignedToken]]:
    at = 0
    for count in counts:
        yield tokens[at : at + count]
        at += count


def _timed(token: AlignedToken, units: Units, times: Any, frame_s: float) -> TimedToken:
    text = units.tokens[token.id] if token.id else BLANK
    return TimedToken(text, float(times[token.start]), float(times[token.end - 1]) + frame_s)


def _utterances(spans: list[Cut], words: tuple[Word, ...]) -> Iterator[Utterance]:
    """Each word in the utterance in which it starts."""
    for i, cut in enumerate(spans):
        after = spans[i + 1].span.start / SAMPLE_RATE if i + 1 < len(spans) else float("inf")
        start = cut.span.start / SAMPLE_RATE
        inside = tuple(word for word in words if (i == 0 or word.start_s >= start) and word.start_s < after)
        yield Utterance(start, cut.span.end / SAMPLE_RATE, inside)
