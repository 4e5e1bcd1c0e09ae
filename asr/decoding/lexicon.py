"""Which words a decoder may write, and how each is spelled in a head's tokens: CMUdict's phonemes, or subwords."""

import gzip
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from asr.errors import CheckpointError
from asr.model.derivation import derive
from asr.model.phonemes import dictionary
from asr.model.pronouncer import guess, packaged_pronouncer
from asr.model.units import Units

Spelling = tuple[str, ...]
COMMON = 6000  # words common enough to make compounds of

Lexicon = dict[str, tuple[Spelling, ...]]  # word -> its spellings, most usual first


def phoneme_lexicon(words: Iterable[str], *, derived: bool = False, guessed: bool = False) -> Lexicon:
    """Those of the words that CMUdict knows, with all their pronunciations.

    With `derived`, those too that rules reach; with `guessed`, all others that have letters, as the small network in
    the package reads them. Words come most usual first; the first ones may be parts of compounds.
    """
    known, listed = dictionary(), list(words)
    lexicon = {word: known[word] for word in listed if word in known}
    if derived:
        parts = frozenset(listed[:COMMON])
        said = {word: derive(word, parts=parts) for word in listed if word not in lexicon}
        lexicon |= {word: (spelling,) for word, spelling in said.items() if spelling}
    if guessed:
        rest = [word for word in listed if word not in lexicon]
        read = guess(packaged_pronouncer(), rest) if rest else []
        lexicon |= {word: (found[0][0],) for word, found in zip(rest, read, strict=True) if found}
    return lexicon


def subword_lexicon(words: Iterable[str], units: Units) -> Lexicon:
    """The words that the units can write, each spelled in one way."""
    spelled = {word: units.encode(word) for word in words}
    return {word: (tuple(units.tokens[i] for i in ids),) for word, ids in spelled.items() if ids}


def save_lexicon(lexicon: Lexicon, path: Path) -> None:
    """Gzipped text: word, tab, tokens separated by spaces; a line for each spelling."""
    lines = (f"{word}\t{' '.join(spelling)}\n" for word, spellings in lexicon.items() for spelling in spellings)
    with gzip.GzipFile(path, "wb", mtime=0) as file:  # no time stamp: the same lexicon is the same file
        file.write("".join(lines).encode())


def load_lexicon(path: Path) -> Lexicon:
    """What `save_lexicon` wrote. Raises CheckpointError."""
    try:
        lines = gzip.decompress(path.read_bytes()).decode().splitlines()
        lexicon: dict[str, list[Spelling]] = {}
        for line in lines:
            word, spelling = line.split("\t")
            lexicon.setdefault(word, []).append(tuple(spelling.split(" ")))
    except (OSError, EOFError, UnicodeDecodeError, ValueError) as error:
        raise CheckpointError(path, f"expected a gzipped lexicon of words and spellings: {error}") from error
    return {word: tuple(spellings) for word, spellings in lexicon.items()}


def token_ids(spellings: Sequence[Spelling], ids: Mapping[str, int]) -> list[list[int]]:
    """Spellings as a head's token numbers. KeyError for a token that the head lacks."""
    return [[ids[token] for token in spelling] for spelling in spellings]
