"""Everything that can be seen of one recording as the model hears it; asr.evaluation.report draws it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asr import cutting
from asr.audio import detector
from asr.audio.reader import SAMPLE_RATE, read_blocks
from asr.decoding.words import Utterance, Word
from asr.errors import AudioError, ConfigError
from asr.evaluation.alignment import align
from asr.evaluation.streaming import Listened, SeenUtterance, listen, utterances_of
from asr.features.spectral import extract
from asr.recognizer import Recognizer

LONGEST_S = 600.0  # of a page; a picture shows less
Floats = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True, eq=False)
class Posteriors:
    """(T', V) probabilities of one utterance's tokens, `tokens[0]` the blank; times in seconds."""

    start_s: float
    frame_s: float
    tokens: tuple[str, ...]
    values: Floats

    @property
    def end_s(self) -> float:
        """Where the last frame ends."""
        return self.start_s + len(self.values) * self.frame_s


@dataclass(frozen=True)
class LiveWord:
    """A word that live showed: when it was said, first shown, and settled; whether the final has it. Seconds.

    A word that no partial had is shown and settled when the final comes.
    """

    text: str
    start_s: float
    end_s: float
    shown_s: float
    settled_s: float
    kept: bool


@dataclass(frozen=True, eq=False)
class Inspection:
    """A stretch of a recording that begins at `start_s` of it; every other time counts from that beginning, in seconds.

    samples (S,); speech (⌈S / 512⌉,) probabilities, one each `speech_s`; log_mel (T, F), one frame each `mel_s`;
    `head` names whose tokens the posteriors are; `live` is the same sound through a stream, on a machine that needs no
    time for its work.
    """

    name: str
    start_s: float
    samples: Floats
    speech: Floats
    speech_s: float
    log_mel: Floats
    mel_s: float
    head: str
    utterances: tuple[Utterance, ...]
    posteriors: tuple[Posteriors, ...]
    live: Listened
    delay_ms: float

    @property
    def duration_s(self) -> float:
        """Of the stretch."""
        return len(self.samples) / SAMPLE_RATE

    @property
    def words(self) -> tuple[Word, ...]:
        """All words in order."""
        return tuple(word for utterance in self.utterances for word in utterance.words)

    @property
    def final_s(self) -> tuple[float, ...]:
        """When each live final came."""
        return tuple(seen.at_s for seen in utterances_of(self.live))

    @property
    def live_words(self) -> tuple[LiveWord, ...]:
        """The words of each utterance's last partial and of its final, with the times at which they were seen."""
        return tuple(word for seen in utterances_of(self.live) for word in _live_words_of(seen))


def inspect(
    recognizer: Recognizer,
    path: Path,
    *,
    from_s: float = 0.0,
    to_s: float | None = None,
    head: str | None = None,
    delay_ms: float = 960.0,
) -> Inspection:
    """Hear [from_s, to_s) of a recording, at most LONGEST_S of it, whole and live. Raises AudioError, ConfigError."""
    heads = recognizer.bundle.model.config.heads
    head = head or recognizer.decoder.heads[0]
    if head not in heads:
        raise ConfigError("--head", f"expected one of this model's heads ({', '.join(heads)}), got {head!r}")
    samples = read_stretch(path, from_s, to_s)
    cuts = cutting.cut_whole(recognizer.segments, samples)
    found = recognizer.log_probs([cut.samples for cut in cuts], (head,))
    tokens = recognizer.bundle.units[heads[head].units].tokens
    heard = listen(recognizer.live(delay_ms=delay_ms), samples, clock=lambda: 0.0)  # the same on every machine
    return Inspection(
        name=path.name,
        start_s=from_s,
        samples=samples,
        speech=detector.detect(samples),
        speech_s=detector.FRAME / SAMPLE_RATE,
        log_mel=extract(recognizer.bundle.features, torch.from_numpy(samples)).numpy(),
        mel_s=recognizer.bundle.features.hop / SAMPLE_RATE,
        head=head,
        utterances=tuple(recognizer.utterances(cuts)),
        posteriors=tuple(
            Posteriors(cut.span.start / SAMPLE_RATE, recognizer.frame_s, tokens, x[head].exp().numpy())
            for cut, x in zip(cuts, found, strict=True)
        ),
        live=heard,
        delay_ms=delay_ms,
    )


def read_stretch(path: Path, from_s: float, to_s: float | None) -> Floats:
    """(S,) samples at 16 kHz of [from_s, to_s), LONGEST_S at most. Raises AudioError, ConfigError."""
    end_s = min(to_s if to_s is not None else float("inf"), from_s + LONGEST_S)
    if not 0 <= from_s < end_s:
        raise ConfigError("--from, --to", f"expected 0 <= from < to in seconds, got {from_s:g} and {to_s}")
    first, last = round(from_s * SAMPLE_RATE), round(end_s * SAMPLE_RATE)
    blocks, at = [], 0
    for block in read_blocks(path):
        blocks.append(block[max(0, first - at) : last - at])
        at += len(block)
        if at >= last:
            break
    samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    if not len(samples):
        raise AudioError(path, f"is {at / SAMPLE_RATE:.1f} s long; there is nothing from {from_s:g} s on")
    return samples


def _live_words_of(seen: SeenUtterance) -> list[LiveWord]:
    """The words of the last partial, and those that only the final brought.

    Decoded frames never change, so the word at a place stays the one that was first shown there, or grows.
    """
    partial = seen.partials[-1].event.words if seen.partials else ()
    # the rest of an utterance that was too long and cut is shown again as the next one
    words = [word for word in partial if word.start_s < seen.final.end_s]
    steps = align([seen.final.text], [" ".join(word.text for word in words)])[0].steps
    kept = {step.hypothesis_index for step in steps if step.kind == "hit"}
    found = []
    for place, word in enumerate(words):
        shown = (x.at_s for x in seen.partials if len(x.event.words) > place)
        settled = (x.at_s for x in seen.partials if len(x.event.text[: x.event.stable_chars].split()) > place)
        times = next(shown, seen.at_s), next(settled, seen.at_s)
        found.append(LiveWord(word.text, word.start_s, word.end_s, *times, kept=place in kept))
    said = [step.kind for step in steps if step.kind != "ins"]  # of each word of the final
    late = (word for word, kind in zip(seen.final.words, said, strict=True) if kind != "hit")
    found += [LiveWord(word.text, word.start_s, word.end_s, seen.at_s, seen.at_s, kept=True) for word in late]
    return sorted(found, key=lambda word: word.start_s)
