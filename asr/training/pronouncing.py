"""Training the grapheme-to-phoneme model on CMUdict, and what it is worth on words that it has not seen."""

import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import jiwer
import numpy as np
import torch
from torch import Tensor

from asr.model.phonemes import PHONEMES, Pronunciation, dictionary
from asr.model.pronouncer import Pronouncer, PronouncerConfig, guess, letters_of
from asr.model.units import frames_needed

Lesson = tuple[list[int], list[int]]  # a word's letters, its phonemes, both numbered from 1
HELD_OUT = 20  # one word in so many is not trained on


@dataclass(frozen=True)
class PronouncerTraining:
    """AdamW; the rate rises over the first tenth of the steps and falls to zero along a cosine."""

    model: PronouncerConfig = field(default_factory=PronouncerConfig)
    epochs: int = 3
    batch: int = 256  # words, of like length
    rate: float = 1e-2
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    seed: int = 1


def split_dictionary() -> tuple[dict[str, tuple[Pronunciation, ...]], dict[str, tuple[Pronunciation, ...]]]:
    """CMUdict's words of plain letters: those to learn from, and those held out, by a checksum of their spelling."""
    words = {word: said for word, said in dictionary().items() if re.fullmatch("[a-z']+", word)}
    held = {word: said for word, said in words.items() if zlib.crc32(word.encode()) % HELD_OUT == 0}
    return {word: said for word, said in words.items() if word not in held}, held


def lessons(words: dict[str, tuple[Pronunciation, ...]], slots: int) -> list[Lesson]:
    """Each pronunciation of each word that fits into its letters' slots."""
    ids = {phoneme: i for i, phoneme in enumerate(PHONEMES, 1)}
    found: list[Lesson] = []
    for word, spoken in words.items():
        letters = letters_of(word)
        for said in spoken:
            if frames_needed(said) <= slots * len(letters):
                found.append((letters, [ids[phoneme] for phoneme in said]))
    return found


def train_pronouncer(
    config: PronouncerTraining,
    words: dict[str, tuple[Pronunciation, ...]],
    report: Callable[[int, int, float], None],
) -> Pronouncer:
    """Train from nothing on words with their pronunciations. `report(epoch, step, loss a phoneme)` now and then."""
    torch.manual_seed(config.seed)
    model = Pronouncer(config.model).train()
    known = lessons(words, config.model.slots)
    total = config.epochs * len(_plan(known, config, 0))
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=config.weight_decay, betas=(0.9, 0.98))
    step, losses = 0, list[float]()
    for epoch in range(config.epochs):
        for chosen in _plan(known, config, epoch):
            warm, cool = min(1.0, (step + 1) / (0.1 * total)), 0.5 + 0.5 * np.cos(np.pi * step / total)
            for group in optimiser.param_groups:
                group["lr"] = config.rate * warm * cool
            loss = _loss(model, [known[i] for i in chosen])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
            optimiser.step()
            step += 1
            losses.append(float(loss.detach()))
            if len(losses) == 20:
                report(epoch, step, float(np.mean(losses)))
                losses.clear()
    return model.eval()


def _plan(known: Sequence[Lesson], config: PronouncerTraining, epoch: int) -> list[list[int]]:
    rng = np.random.default_rng([config.seed, epoch])
    order = sorted(rng.permutation(len(known)).tolist(), key=lambda i: len(known[i][0]))
    batches = [order[first : first + config.batch] for first in range(0, len(order), config.batch)]
    return [batches[i] for i in rng.permutation(len(batches))]


def _loss(model: Pronouncer, batch: Sequence[Lesson]) -> Tensor:
    """CTC's, summed over the batch and divided by its phonemes."""
    lengths = torch.tensor([len(letters) for letters, _ in batch])
    letters = torch.nn.utils.rnn.pad_sequence([torch.tensor(letters) for letters, _ in batch], batch_first=True)
    said = torch.tensor([phoneme for _, phonemes in batch for phoneme in phonemes])
    sizes = torch.tensor([len(phonemes) for _, phonemes in batch])
    log_probs = model(letters, lengths).transpose(0, 1)
    loss = torch.nn.functional.ctc_loss(log_probs, said, lengths * model.config.slots, sizes, reduction="sum")
    return loss / len(said)


@dataclass(frozen=True)
class PronouncerScores:
    """Of held-out words, in percent; of several pronunciations the one nearest to the guess is the reference."""

    words: int
    word_errors: float  # words with any wrong phoneme
    phoneme_errors: float  # substitutions, deletions and insertions over phonemes


def score_pronouncer(model: Pronouncer, words: dict[str, tuple[Pronunciation, ...]]) -> PronouncerScores:
    """Say all words and count the errors."""
    said = [guesses[0][0] if guesses else () for guesses in guess(model, list(words))]
    wrong = errors = total = 0
    for found, known in zip(said, words.values(), strict=True):
        fewest, size = min(_distances(found, known))
        wrong, errors, total = wrong + (fewest > 0), errors + fewest, total + size
    return PronouncerScores(len(words), 100 * wrong / len(words), 100 * errors / total)


def _distances(found: Pronunciation, known: Sequence[Pronunciation]) -> Iterator[tuple[int, int]]:
    for reference in known:
        if found == reference:
            yield 0, len(reference)
        else:
            made = jiwer.process_words(" ".join(reference), " ".join(found) or "_")
            yield made.substitutions + made.deletions + made.insertions, len(reference)
