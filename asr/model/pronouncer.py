"""How any word is said: letters to phonemes by a small recurrent network, for words that dictionary and rules lack.

A bidirectional network reads the letters; each letter has SLOTS places for phonemes, most of them blank, and CTC learns
which phonemes go where (Rao et al. 2015 call this DBLSTM-CTC). Trained on CMUdict by `scripts/train_pronouncer`.
"""

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from math import exp, inf, log1p
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from asr.errors import AsrError, CheckpointError
from asr.model.derivation import derive
from asr.model.phonemes import PHONEMES, Pronunciation, dictionary
from asr.model.recurrent import Cell, RecurrentLayer
from asr.model.storage import Storage, packed, unpacked
from asr.settings import make_settings

LETTERS = "abcdefghijklmnopqrstuvwxyz'"
PACKAGED = Path(__file__).parent.parent / "models" / "pronouncer.safetensors"
BATCH = 256  # words read at once
WIDTH = 8  # prefixes that the search for pronunciations keeps


@dataclass(frozen=True)
class PronouncerConfig:
    """The network's shape."""

    cell: Cell = "gru"
    embedding: int = 32
    hidden: int = 64
    layers: int = 2
    slots: int = 2  # phonemes that one letter can make, as x makes K S
    dropout: float = 0.1


class Pronouncer(nn.Module):
    """Letters -> log-probabilities of blank and the 39 phonemes in each letter's slots."""

    def __init__(self, config: PronouncerConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(len(LETTERS) + 1, config.embedding)  # 0 pads
        self.layers = nn.ModuleList()
        inputs = config.embedding
        for _ in range(config.layers):
            layer = RecurrentLayer(
                cell=config.cell, inputs=inputs, hidden=config.hidden, bidirectional=True, dropout=config.dropout
            )
            self.layers.append(layer)
            inputs = layer.size
        self.head = nn.Linear(inputs, config.slots * (len(PHONEMES) + 1))

    def forward(self, letters: Tensor, lengths: Tensor) -> Tensor:
        """(B, N) letter numbers, (B,) -> (B, slots · N, 40)."""
        x = self.embedding(letters)
        for layer in self.layers:
            x = layer(x, lengths)
        slots: Tensor = self.head(x).unflatten(-1, (self.config.slots, -1)).flatten(1, 2)
        return slots.log_softmax(-1)


def letters_of(word: str) -> list[int]:
    """Numbers of a word's letters from 1; accents are dropped, and so is what is neither a letter nor an apostrophe."""
    plain = unicodedata.normalize("NFKD", word.lower().replace("’", "'"))
    return [LETTERS.index(letter) + 1 for letter in plain if letter in LETTERS]


@torch.inference_mode()
def guess(model: Pronouncer, words: Sequence[str], most: int = 1) -> list[list[tuple[Pronunciation, float]]]:
    """For each word up to `most` pronunciations with their probabilities, the likeliest first; [] without letters."""
    found: list[list[tuple[Pronunciation, float]]] = [[] for _ in words]
    spelled = {i: letters for i, word in enumerate(words) if (letters := letters_of(word))}
    order = sorted(spelled, key=lambda i: len(spelled[i]))
    for first in range(0, len(order), BATCH):
        batch = order[first : first + BATCH]
        lengths = torch.tensor([len(spelled[i]) for i in batch])
        padded = nn.utils.rnn.pad_sequence([torch.tensor(spelled[i]) for i in batch], batch_first=True)
        log_probs = model(padded, lengths)
        for i, length, slots in zip(batch, lengths.tolist(), log_probs, strict=True):
            read = best_prefixes(slots[: length * model.config.slots])
            said = [(tuple(PHONEMES[k - 1] for k in ids), exp(score)) for ids, score in read if ids]
            found[i] = said[:most]
    return found


def best_prefixes(log_probs: Tensor, width: int = WIDTH) -> list[tuple[tuple[int, ...], float]]:
    """(T', V) -> token sequences with log p summed over their paths, best first (CTC prefix search: Hannun 2014)."""
    beam: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, -inf)}  # log p of paths ending in blank, in a token
    values, tokens = log_probs.topk(min(width, log_probs.shape[1]))
    for row, frame, blank in zip(values.tolist(), tokens.tolist(), log_probs[:, 0].tolist(), strict=True):
        following: dict[tuple[int, ...], tuple[float, float]] = {}
        for prefix, (by_blank, by_token) in beam.items():
            whole = _add(by_blank, by_token)
            _grow(following, prefix, whole + blank, -inf)
            for p, token in zip(row, frame, strict=True):
                if token == 0:
                    continue
                if prefix and token == prefix[-1]:
                    _grow(following, prefix, -inf, by_token + p)
                    _grow(following, (*prefix, token), -inf, by_blank + p)
                else:
                    _grow(following, (*prefix, token), -inf, whole + p)
        beam = dict(sorted(following.items(), key=lambda item: -_add(*item[1]))[:width])
    summed = [(prefix, p) for prefix, scores in beam.items() if (p := _add(*scores)) > -inf]
    return sorted(summed, key=lambda item: -item[1])


def _grow(
    beam: dict[tuple[int, ...], tuple[float, float]], prefix: tuple[int, ...], blank: float, token: float
) -> None:
    before = beam.get(prefix, (-inf, -inf))
    beam[prefix] = (_add(before[0], blank), _add(before[1], token))


def _add(a: float, b: float) -> float:
    """log(e^a + e^b)."""
    low, high = min(a, b), max(a, b)
    return high if low == -inf else high + log1p(exp(low - high))


def save_pronouncer(model: Pronouncer, path: Path, *, storage: Storage = "int8") -> None:
    """Write weights and shape as one safetensors file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(packed(model.state_dict(), storage), path, {"config": json.dumps(asdict(model.config))})


def load_pronouncer(path: Path = PACKAGED) -> Pronouncer:
    """What `save_pronouncer` wrote, ready to run. Raises CheckpointError."""
    try:
        with safe_open(path, "pt") as file:
            config = make_settings(PronouncerConfig, json.loads(file.metadata()["config"]), where=str(path))
            model = Pronouncer(config)
            model.load_state_dict(unpacked({name: file.get_tensor(name) for name in file.keys()}))  # noqa: SIM118
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RuntimeError, AsrError) as error:
        raise CheckpointError(path, f"expected a grapheme-to-phoneme model: {error}") from error
    return model.eval()


@lru_cache(maxsize=1)
def packaged_pronouncer() -> Pronouncer:
    """The model in the package, loaded once. Raises CheckpointError."""
    return load_pronouncer()


@lru_cache(maxsize=4096)
def pronounce(word: str, *, most: int = 1) -> tuple[Pronunciation, ...]:
    """How a word from a user is said, likeliest first: by CMUdict, else by rule, else as the network reads its letters.

    `most` bounds what the network says; what it thinks less than a third as likely as its first is left out. () for a
    word without letters.
    """
    word = word.lower().replace("’", "'")
    if known := dictionary().get(word):
        return known
    if derived := derive(word):
        return (derived,)
    read = guess(packaged_pronouncer(), [word], most)[0]
    return tuple(said for said, p in read if p > read[0][1] / 3)


def pronounce_text(text: str) -> Pronunciation | None:
    """How a text is most likely said; None if a word has digits, signs or no letters, so that it cannot be known."""
    said: list[str] = []
    for word in text.split():
        if not (sounds := _most_likely(word)):
            return None
        said.extend(sounds)
    return tuple(said)


@lru_cache(maxsize=1 << 17)
def _most_likely(word: str) -> Pronunciation:
    return next(iter(pronounce(word)), ()) if is_spelled(word) else ()


def is_spelled(word: str) -> bool:
    """Whether it is of letters, besides accents and marks within a word: others are not said as they are read."""
    within = all(sign.isalpha() or unicodedata.combining(sign) or sign in "'’-." for sign in word)
    return within and any(map(str.isalpha, word))
