"""From log-probabilities to timed words, by the way that a model brings and a user chooses: greedy or beam."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from asr.decoding.confidence import confidences
from asr.decoding.greedy import decode_greedily, words_of
from asr.decoding.hotwords import Hotword, with_hotwords
from asr.decoding.hypotheses import HeardWord, Hypothesis
from asr.decoding.words import Alternative, Word
from asr.errors import CheckpointError, ConfigError
from asr.model.acoustic import text_head
from asr.model.bundle import Bundle
from asr.model.units import Units
from asr.settings import read_settings

SETTINGS, LEXICON, LANGUAGE_MODEL = "decoding.yaml", "lexicon.txt.gz", "ngrams.npz"
RECURRENT = "recurrent.safetensors"  # a recurrent language model, for those that bring one
Reading = tuple[tuple[Word, ...], tuple[Alternative, ...]]


class Decoder(Protocol):
    """`heads` names the log-probabilities that it reads. Threads may share it."""

    heads: tuple[str, ...]

    def read(self, log_probs: Mapping[str, Tensor], *, frame_s: float, end_s: float) -> Reading:
        """Head -> (T', V) of an utterance of `end_s` seconds; its words, timed from its start, and other readings."""


class GreedyReader:
    """The likeliest token of each frame, of the first head that writes text."""

    def __init__(self, bundle: Bundle) -> None:
        self.head = text_head(bundle.model.config)
        self.heads: tuple[str, ...] = (self.head,)
        self.units: Units = bundle.units[bundle.model.config.heads[self.head].units]

    def read(self, log_probs: Mapping[str, Tensor], *, frame_s: float, end_s: float) -> Reading:
        """Words; never other readings."""
        found = log_probs[self.head]
        tokens = decode_greedily(found[None], torch.tensor([len(found)]))[0]
        return words_of(tokens, self.units.tokens, frame_s=frame_s, end_s=end_s), ()


class BeamReader:
    """The best words of a lexicon under an n-gram model; the best readings judged again by others."""

    def __init__(self, bundle: Bundle, hotwords: tuple[Hotword, ...] = ()) -> None:
        """Raises CheckpointError, ConfigError."""
        from asr.decoding.beam import BeamConfig, BeamDecoder  # numba: only where it is used
        from asr.decoding.lexicon import load_lexicon
        from asr.lm.recurrent import load_language_model

        files: dict[str, Path] = bundle.attachments
        config = read_settings(BeamConfig, files[SETTINGS])
        units = {name: bundle.units[head.units] for name, head in bundle.model.config.heads.items()}
        missing = {config.head, config.second_head or config.head} - set(units)
        if missing:
            raise CheckpointError(files[SETTINGS], f"names {missing.pop()!r}, which is no head of this model")
        self.heads: tuple[str, ...] = (config.head, config.second_head) if config.second_head else (config.head,)
        self._second = units.get(config.second_head)
        tokens = units[config.head].tokens
        lexicon = load_lexicon(files[LEXICON])
        if hotwords:
            lexicon = with_hotwords(lexicon, hotwords)
        self.search = BeamDecoder(
            lexicon=lexicon, tokens=tokens, lm=files[LANGUAGE_MODEL], config=config, hotwords=hotwords
        )
        if config.recurrent_weight and RECURRENT not in files:
            raise CheckpointError(files[SETTINGS], f"has a recurrent_weight; expected {RECURRENT} beside it, or 0")
        self._recurrent = load_language_model(files[RECURRENT]).quantised() if config.recurrent_weight else None
        self._phrases = [f" {hotword.phrase} " for hotword in hotwords]

    def read(self, log_probs: Mapping[str, Tensor], *, frame_s: float, end_s: float) -> Reading:
        """Words of the best reading, and the others with their scores."""
        config = self.search.config
        readings = self.readings(log_probs)
        sure = self._confidences(readings, log_probs)
        words = (
            Word(word.text, word.start * frame_s, min(end_s, word.end * frame_s), confidence)
            for word, confidence in zip(readings[0].words, sure, strict=True)
        )
        others = readings[1 : config.alternatives + 1]
        return tuple(words), tuple(Alternative(other.text, other.score) for other in others)

    def readings(self, log_probs: Mapping[str, Tensor]) -> list[Hypothesis]:
        """All readings that were judged, the best first."""
        from asr.decoding.rescoring import expected, rescore, rescore_by

        config, recurrent, ngrams = self.search.config, self._recurrent, self.search.ngrams
        readings = self.search.decode(log_probs[config.head])
        if self._second is not None:
            weight, margin = config.second_weight, self._from_best(config.second_margin, readings)
            readings = rescore(readings, log_probs[config.second_head], self._second, weight, margin)
        if recurrent is not None:
            margin = self._from_best(config.recurrent_margin, readings)
            readings = rescore_by(lambda x: expected(x, recurrent.score(x), ngrams, config), readings, 1.0, margin)
        return readings

    def _from_best(self, margin: float, readings: list[Hypothesis]) -> float:
        """The margin counts from the best reading without a hotword: a boost may not spare it the others' opinions."""
        plain = (x.score for x in readings if not any(phrase in f" {x.text} " for phrase in self._phrases))
        return margin + readings[0].score - next(plain, readings[0].score) if self._phrases and readings else margin

    def second_words(self, log_probs: Mapping[str, Tensor]) -> list[HeardWord]:
        """What the second head says by itself, greedily; nothing without one."""
        if self._second is None:
            return []
        found = log_probs[self.search.config.second_head]
        tokens = decode_greedily(found[None], torch.tensor([len(found)]))[0]
        words = words_of(tokens, self._second.tokens, frame_s=1.0, end_s=len(found))
        return [HeardWord(word.text, int(word.start_s), int(word.end_s), word.confidence) for word in words]

    def _confidences(self, readings: list[Hypothesis], log_probs: Mapping[str, Tensor]) -> list[float]:
        weights = self.search.config.confidence
        if weights is None:
            return [word.confidence for word in readings[0].words]
        return confidences(weights, readings, self.second_words(log_probs))


def make_decoder(bundle: Bundle, decoding: str, hotwords: tuple[Hotword, ...] = ()) -> Decoder:
    """auto: beam where the model brings a lexicon and a language model, else greedy. Raises ConfigError."""
    missing = [name for name in (SETTINGS, LEXICON, LANGUAGE_MODEL) if name not in bundle.attachments]
    if hotwords and (decoding == "greedy" or missing):
        raise ConfigError("hotwords", "these need the search by beam with its lexicon, and there is none here")
    match decoding:
        case "greedy":
            return GreedyReader(bundle)
        case "auto":
            return GreedyReader(bundle) if missing else BeamReader(bundle, hotwords)
        case "beam" if not missing:
            return BeamReader(bundle, hotwords)
        case "beam":
            raise ConfigError("decoding", f"this model cannot search by beam: {', '.join(missing)} missing; use greedy")
    raise ConfigError("decoding", f"expected auto, greedy or beam, got {decoding!r}")
