"""Units: the tokens that a CTC head tells apart, and the way from text to their numbers and back.

Token 0 is the blank.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from asr.errors import CheckpointError, ConfigError
from asr.model.phonemes import PHONEMES
from asr.model.pronouncer import pronounce_text

BLANK = "<blank>"
WORD_START = "▁"


def frames_needed(tokens: Sequence[object]) -> int:
    """The frames that CTC needs at least: one a token, one more for the blank between two that are equal."""
    return len(tokens) + sum(a == b for a, b in pairwise(tokens))


class Units(Protocol):
    """A set of tokens. `tokens[0]` is the blank; a token that starts a word starts with "▁"."""

    tokens: tuple[str, ...]

    def encode(self, text: str) -> list[int] | None:
        """The tokens of a text, or None where these units cannot write it."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text of tokens; blanks are left out."""


class SubwordUnits:
    """Pieces by byte-pair encoding (sentencepiece): Sennrich et al. 2016, Kudo and Richardson 2018."""

    def __init__(self, model: bytes) -> None:
        import sentencepiece

        self.model = model
        self._processor = sentencepiece.SentencePieceProcessor()
        self._processor.LoadFromSerializedProto(model)
        self.tokens = tuple(self._processor.IdToPiece(list(range(self._processor.GetPieceSize()))))

    @classmethod
    def train(cls, sentences: Iterable[str], size: int) -> "SubwordUnits":
        """Learn `size` tokens, blank included, from text."""
        import io

        import sentencepiece

        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences),
            model_writer=model,
            vocab_size=size,
            model_type="bpe",
            character_coverage=1.0,
            unk_id=0,
            unk_piece=BLANK,
            bos_id=-1,
            eos_id=-1,
            minloglevel=2,
            num_threads=1,
        )
        return cls(model.getvalue())

    def encode(self, text: str) -> list[int] | None:
        """None where a character is in no piece."""
        ids: list[int] = self._processor.EncodeAsIds(text)
        return None if 0 in ids else ids

    def encode_all(self, texts: Sequence[str], *, threads: int = 1) -> list[list[int] | None]:
        """`encode` of each."""
        encoded: list[list[int]] = self._processor.EncodeAsIds(list(texts), num_threads=threads)
        return [None if 0 in ids else ids for ids in encoded]

    def decode(self, ids: Sequence[int]) -> str:
        """Pieces joined, word starts as spaces."""
        return "".join(self.tokens[i] for i in ids if i).replace(WORD_START, " ").strip()


class ListedUnits:
    """Tokens from a plain list: characters (each word's first one bears the word start) or phonemes."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = tuple(tokens)
        self._ids = {token: i for i, token in enumerate(tokens)}
        self._phonemes = set(tokens[1:]) <= set(PHONEMES)

    @classmethod
    def characters(cls, sentences: Iterable[str]) -> "ListedUnits":
        """Every character of the text, as it starts a word and as it goes on in one."""
        letters = sorted({letter for sentence in sentences for letter in sentence if not letter.isspace()})
        return cls([BLANK, *(WORD_START + letter for letter in letters), *letters])

    @classmethod
    def phonemes(cls) -> "ListedUnits":
        """CMUdict's 39 phonemes."""
        return cls([BLANK, *PHONEMES])

    def encode(self, text: str) -> list[int] | None:
        """None where a character is unknown or, for phonemes, nobody knows how a word is said."""
        said = pronounce_text(text) if self._phonemes else _characters(text)
        ids = [self._ids.get(token, 0) for token in said or ()]
        return None if said is None or 0 in ids else ids

    def decode(self, ids: Sequence[int]) -> str:
        """Characters joined into words; phonemes separated by spaces."""
        tokens = [self.tokens[i] for i in ids if i]
        return " ".join(tokens) if self._phonemes else "".join(tokens).replace(WORD_START, " ").strip()


def _characters(text: str) -> list[str]:
    return [WORD_START + letter if i == 0 else letter for word in text.split() for i, letter in enumerate(word)]


def build_units(kind: str, sentences: Sequence[str], size: int) -> Units:
    """New units of a kind that a config names; `size` matters to subwords only."""
    match kind:
        case "subword":
            return SubwordUnits.train(sentences, size)
        case "character":
            return ListedUnits.characters(sentences)
        case "phoneme":
            return ListedUnits.phonemes()
    raise ConfigError("units", f"expected subword, character or phoneme, got {kind!r}")


def save_units(units: Units, folder: Path, kind: str) -> None:
    """Write `<kind>.model` (sentencepiece) or `<kind>.txt` (one token a line)."""
    if isinstance(units, SubwordUnits):
        (folder / f"{kind}.model").write_bytes(units.model)
    else:
        (folder / f"{kind}.txt").write_text("\n".join(units.tokens) + "\n", encoding="utf-8")


def load_units(folder: Path, kind: str) -> Units:
    """Read what `save_units` wrote. Raises CheckpointError."""
    model, listed = folder / f"{kind}.model", folder / f"{kind}.txt"
    try:
        if model.exists():
            return SubwordUnits(model.read_bytes())
        tokens = listed.read_text(encoding="utf-8").split("\n")[:-1]
    except (OSError, RuntimeError, UnicodeDecodeError) as error:
        raise CheckpointError(folder, f"expected units in {model.name} or {listed.name}: {error}") from error
    if tokens[:1] != [BLANK] or len(set(tokens)) != len(tokens):
        raise CheckpointError(listed, f"expected one token a line, all different, the first {BLANK}")
    return ListedUnits(tokens)
