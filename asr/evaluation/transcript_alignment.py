"""Where the words of a known text lie in a recording, and which of them are not in it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from asr import cutting
from asr.audio.reader import SAMPLE_RATE, Source, read_blocks
from asr.cutting import Cut
from asr.decoding.alignment import AlignedToken, align, aligned_words
from asr.decoding.words import Transcript, Utterance, Word
from asr.errors import AlignmentError, ConfigError
from asr.evaluation.frames import Frames
from asr.evaluation.word_presence import SpelledWord, WordJudge
from asr.model.units import BLANK, Units
from asr.recognizer import Recognizer

MISSING = 0.9  # a word that fits better than fewer of its rivals than this is probably not there
_SILENCE = -30.0  # log-probability of anything but a blank where no speech is


@dataclass(frozen=True)
class TimedToken:
    """A token of the model; times in seconds."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class TextAlignment:
    """Every word of the text with its times and, as confidence, its score (`word_presence`); the tokens; what is not
    there, as far as one can tell."""

    transcript: Transcript
    tokens: tuple[TimedToken, ...]
    missing: tuple[Word, ...]


@dataclass
class _Heard:
    """Utterances without their samples; head -> frames, each utterance's followed by one of silence; (T',) seconds."""

    frames: dict[str, Frames]
    spans: list[Cut]
    times: list[Any]
    duration_s: float = 0.0


def align_text(
    recognizer: Recognizer,
    source: Source,
    text: str,
    *,
    name: str,
    head: str | None = None,
    judge: WordJudge | None = None,
) -> TextAlignment:
    """Align a whole text with a whole recording. Raises AudioError, AlignmentError, ConfigError.

    The network hears one utterance at a time; the search goes over all of them at once, because nothing but the
    search knows which words belong to which. Memory: log-probabilities (25 frames a second) and some rows of scores.
    `head`: whose tokens, None for phonemes where there are some; `judge`: one for many calls, to save time.
    """
    head = aligning_head(recognizer, head)
    if judge is None or head not in judge.units:
        judge = WordJudge(recognizer.bundle, head)
    words = list(_spelled(text, judge, head))
    heard = _listen(recognizer, source, name, (head, *judge.judges))
    times = np.concatenate(heard.times)
    try:
        tokens = align(heard.frames[head].whole(), [token for word in words for token in word.ways[head][0]])
    except AlignmentError as error:
        raise AlignmentError(name, error.problem) from error
    groups = list(_grouped(tokens, [len(word.ways[head][0]) for word in words]))
    scores = judge.scores(heard.frames, words, [(group[0].start, group[-1].end) for group in groups])
    found = aligned_words([word.text for word in words], scores, groups, times, recognizer.frame_s)
    timed = tuple(_timed(token, judge.units[head], times, recognizer.frame_s) for token in tokens)
    transcript = Transcript(name, heard.duration_s, tuple(_utterances(heard.spans, found)))
    return TextAlignment(transcript, timed, tuple(word for word in found if word.confidence < MISSING))


def aligning_head(recognizer: Recognizer, head: str | None) -> str:
    """The one that is asked for, else the deepest of phonemes: they lie closest to the sound's borders."""
    heads = recognizer.bundle.model.config.heads
    if head is None:
        return max(heads, key=lambda name: (heads[name].units == "phoneme", heads[name].layer))
    if head not in heads:
        raise ConfigError("--head", f"expected one of this model's heads ({', '.join(heads)}), got {head!r}")
    return head


def _spelled(text: str, judge: WordJudge, head: str) -> Iterator[SpelledWord]:
    """Each word. What is punctuation alone is no word."""
    for written in text.split():
        word = judge.spell(written)
        if head in word.ways:
            yield word
        elif any(letter.isalnum() for letter in written):
            raise ConfigError("text", f"these units cannot write {written!r}; spell it as it is said")


def _listen(recognizer: Recognizer, source: Source, name: str, heads: tuple[str, ...]) -> _Heard:
    heard, state = _Heard({head: Frames() for head in heads}, [], []), cutting.start()
    for block in read_blocks(source, name=name):
        state, cuts = cutting.step(recognizer.segments, state, block)
        _hear(recognizer, cuts, heard)
    _hear(recognizer, cutting.finish(recognizer.segments, state), heard)
    if not heard.spans:
        raise AlignmentError(name, "no speech was found; nothing can be aligned with it")
    heard.duration_s = state.samples / SAMPLE_RATE
    return heard


def _hear(recognizer: Recognizer, cuts: list[Cut], heard: _Heard) -> None:
    """Add the frames of these utterances, each followed by one frame of silence."""
    for cut in cuts:
        found = recognizer.log_probs([cut.samples], tuple(heard.frames))[0]
        for head, frames in heard.frames.items():
            values = found[head].float().cpu().numpy()
            silence = np.full((1, values.shape[1]), _SILENCE, np.float32)
            silence[0, 0] = 0.0
            frames.add(values)
            frames.add(silence)
        heard.times.append(cut.span.start / SAMPLE_RATE + np.arange(len(values) + 1) * recognizer.frame_s)
        heard.spans.append(Cut(cut.span, cut.samples[:0].copy()))


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
