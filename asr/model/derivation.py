"""Pronunciations of words that CMUdict lacks, from words that it has: other spellings, endings, beginnings, compounds.

"endeavoured" is "endeavor" and an ending; "waistcoat" is "waist" and "coat". What no rule
reaches has no pronunciation here.
"""

from collections.abc import Callable, Iterator

from asr.model.phonemes import Pronunciation, dictionary

VOICELESS = frozenset(("P", "T", "K", "F", "TH"))
SIBILANT = frozenset(("S", "Z", "SH", "ZH", "CH", "JH"))
SHORTEST = 3  # letters of a word that another may be made from
DEEPEST = 3  # rules in a row

# British and older spellings, and how CMUdict writes them
SPELLINGS = (
    *(("our", "or"), ("ise", "ize"), ("isa", "iza"), ("isi", "izi"), ("yse", "yze"), ("tre", "ter"), ("ence", "ense")),
    *(("lled", "led"), ("lling", "ling"), ("ller", "ler"), ("gue", "g"), ("ae", "e"), ("oe", "e")),
)


def _with_s(base: Pronunciation) -> Pronunciation:
    if base[-1] in SIBILANT:
        return (*base, "IH", "Z")
    return (*base, "S" if base[-1] in VOICELESS else "Z")


def _with_ed(base: Pronunciation) -> Pronunciation:
    if base[-1] in ("T", "D"):
        return (*base, "IH", "D")
    return (*base, "T" if base[-1] in VOICELESS | {"S", "SH", "CH"} else "D")


def _with(*phonemes: str) -> Callable[[Pronunciation], Pronunciation]:
    return lambda base: (*base, *phonemes)


# Endings that join a base as it is, and those before which a base may lose its e or double its last letter
PLAIN_ENDINGS: dict[str, Callable[[Pronunciation], Pronunciation]] = {
    "'s": _with_s,
    "s'": _with_s,
    "ness": _with("N", "AH", "S"),
    "less": _with("L", "AH", "S"),
    "ship": _with("SH", "IH", "P"),
    "like": _with("L", "AY", "K"),
    "ment": _with("M", "AH", "N", "T"),
    "ful": _with("F", "AH", "L"),
    "ly": _with("L", "IY"),
    "s": _with_s,
}
CHANGING_ENDINGS: dict[str, Callable[[Pronunciation], Pronunciation]] = {
    "able": _with("AH", "B", "AH", "L"),
    "ing": _with("IH", "NG"),
    "in'": _with("IH", "N"),
    "ish": _with("IH", "SH"),
    "est": _with("AH", "S", "T"),
    "eth": _with("AH", "TH"),
    "ed": _with_ed,
    "er": _with("ER"),
}
BEGINNINGS: dict[str, Pronunciation] = {
    "over": ("OW", "V", "ER"),
    "under": ("AH", "N", "D", "ER"),
    "fore": ("F", "AO", "R"),
    "out": ("AW", "T"),
    "mis": ("M", "IH", "S"),
    "dis": ("D", "IH", "S"),
    "non": ("N", "AA", "N"),
    "un": ("AH", "N"),
    "in": ("IH", "N"),
    "re": ("R", "IY"),
}


def derive(word: str, *, parts: frozenset[str] = frozenset()) -> Pronunciation | None:
    """How a word is said, or None.

    `parts`: the words that compounds may be made of (common ones, or nonsense comes out).
    """
    return _derive(word, parts, DEEPEST)


def _derive(word: str, parts: frozenset[str], depth: int) -> Pronunciation | None:
    known = _known(word)
    if known or depth == 0:
        return known
    for base, finish in _bases(word):
        said = _derive(base, parts, depth - 1)
        if said:
            return finish(said)
    for beginning, phonemes in BEGINNINGS.items():
        rest = word.removeprefix(beginning)
        said = _derive(rest, parts, depth - 1) if rest != word and len(rest) >= SHORTEST else None
        if said:
            return (*phonemes, *said)
    return _compound(word, parts)


def _known(word: str) -> Pronunciation | None:
    """In the dictionary, as it is or in another spelling."""
    words = dictionary()
    candidates = [word, *(word.replace(old, new) for old, new in SPELLINGS if old in word)]
    return next((words[x][0] for x in candidates if x in words), None)


def _bases(word: str) -> Iterator[tuple[str, Callable[[Pronunciation], Pronunciation]]]:
    """Words that this one may be a form of, with what their pronunciation becomes."""
    for ending, finish in PLAIN_ENDINGS.items():
        base = word.removesuffix(ending)
        if base != word and len(base) >= SHORTEST:
            yield base, finish
            if base.endswith("i"):
                yield base[:-1] + "y", finish
            if ending == "s" and base.endswith("ie"):
                yield base[:-2] + "y", finish
    for ending, finish in CHANGING_ENDINGS.items():
        base = word.removesuffix(ending)
        if base != word and len(base) >= SHORTEST:
            yield base, finish
            yield base + "e", finish
            if base[-1] == base[-2]:
                yield base[:-1], finish
            if base.endswith("i"):
                yield base[:-1] + "y", finish


def _compound(word: str, parts: frozenset[str]) -> Pronunciation | None:
    for place in range(SHORTEST, len(word) - SHORTEST + 1):
        left, right = word[:place], word[place:]
        if left in parts and right in parts:
            one, other = _known(left), _known(right)
            if one and other:
                return (*one, *other)
    return None
