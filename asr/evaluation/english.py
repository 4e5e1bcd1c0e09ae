"""The rules of the normaliser `english`, as tables: symbols, numbers, contractions, titles, hesitations, spelling."""

import re
from collections.abc import Mapping
from functools import lru_cache

ANNOTATION = re.compile(r"\[[^\]]*\]|<[^>]*>")  # [laughter], <unk>: not said
SYMBOLS: Mapping[str, str] = {
    "&": " and ",
    "%": " percent ",
    "@": " at ",
    "+": " plus ",
    "=": " equals ",
    "°": " degrees ",
}
CURRENCIES: Mapping[str, str] = {"$": "dollars", "£": "pounds", "€": "euros", "¥": "yen"}

HESITATIONS = frozenset({"uh", "um", "uhm", "er", "erm", "hm", "hmm", "mm", "mmm", "mhm"})
TITLES: Mapping[str, str] = {"mr": "mister", "mrs": "missus", "dr": "doctor", "prof": "professor"}
CONTRACTIONS: tuple[tuple[str, str], ...] = (
    (r"\bwon't\b", "will not"),
    (r"\bcan't\b|\bcannot\b", "can not"),
    (r"\bshan't\b", "shall not"),
    (r"\bain't\b", "is not"),
    (r"n't\b", " not"),
    (r"\blet's\b", "let us"),
    (r"\b(it|he|she|that|there|what|who|where|here|how)'s\b", r"\1 is"),
    (r"\b(i)'m\b", r"\1 am"),
    (r"'re\b", " are"),
    (r"'ll\b", " will"),
    (r"'ve\b", " have"),
    (r"\b(i|you|he|she|it|we|they|there|who)'d\b", r"\1 would"),
    (r"\bgonna\b", "going to"),
    (r"\bwanna\b", "want to"),
    (r"\bgotta\b", "got to"),
    (r"\bok\b", "okay"),
    (r"\balright\b", "all right"),
    (r"\bper cent\b", "percent"),
    (r"\b(hundred|thousand|million) and\b", r"\1"),
)
_CONTRACTIONS = tuple((re.compile(pattern), text) for pattern, text in CONTRACTIONS)

_DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d+)"  # 1,205 is one number, and 1,2,3 are three
_MONEY = re.compile(rf"([{''.join(CURRENCIES)}])\s?({_DIGITS}(?:\.\d+)?)(\s(?:thousand|million|billion|trillion))?")
_CLOCK = re.compile(r"\b(\d{1,2}):(\d{2})\b")
_DECADE = re.compile(r"(?<!\w)((?:1[1-9]|20)?\d0)'?s\b")
_ORDINAL = re.compile(rf"(?<![\w.])({_DIGITS})(?:st|nd|rd|th)\b")
_NUMBER = re.compile(
    rf"(?<![\w.]){_DIGITS}(?:\.\d+)?(?=[a-z]{{2}}|(?!\w))"
)  # 10am and 5km are numbers, a4 and 4k are not
_DIGITS_IN_WORD = re.compile(r"\d")
_MOST_DIGITS = 15  # of a number; more are an account's, or a recogniser's that repeats itself: said one by one
NUMBER_WORDS = frozenset(
    {"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"}
    | {"thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty", "thirty", "forty"}
    | {"fifty", "sixty", "seventy", "eighty", "ninety", "hundred", "thousand", "million", "billion", "first", "second"}
    | {"third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"}
)


def expand_symbols(text: str) -> str:
    """Annotations go, money is said after its number, symbols become words. text: lower case."""
    text = _MONEY.sub(lambda m: _money(m[1], m[2] + (m[3] or "")), ANNOTATION.sub(" ", text))
    return "".join(SYMBOLS.get(letter, letter) for letter in text)


def write_numbers(text: str) -> str:
    """Digits as they are said: 1984 nineteen eighty four, 3rd third, 10:30 ten thirty, 1900s nineteen hundreds."""
    text = _CLOCK.sub(lambda m: _say(m[1]) + " " + ("" if m[2] == "00" else _say(m[2])), text)
    text = _DECADE.sub(lambda m: _plural(_say(m[1], "year" if len(m[1]) == 4 else "cardinal")), text)
    text = _ORDINAL.sub(lambda m: _say(m[1], "ordinal"), text)
    text = _NUMBER.sub(lambda m: _say(m[0], "year" if _is_year(m[0]) else "cardinal") + " ", text)
    return _DIGITS_IN_WORD.sub(lambda m: f" {_say(m[0])} ", text)


def unify_words(text: str) -> str:
    """Contractions, titles, hesitations and spelling, on a text of words."""
    for pattern, replacement in _CONTRACTIONS:
        text = pattern.sub(replacement, text)
    spelling = american_spelling()
    words = (TITLES.get(word, word) for word in text.split() if word not in HESITATIONS)
    return " ".join(spelling.get(word, word) for word in words)


@lru_cache(maxsize=1)
def american_spelling() -> Mapping[str, str]:
    """British -> American, 1,700 words: the table of whisper-normalizer."""
    from whisper_normalizer.english import EnglishSpellingNormalizer  # type: ignore[import-untyped]

    table: Mapping[str, str] = EnglishSpellingNormalizer().mapping
    return table


def _money(sign: str, amount: str) -> str:
    name = CURRENCIES[sign]
    return f"{amount} {name.removesuffix('s') if amount == '1' else name}"


def _plural(number: str) -> str:
    return f"{number[:-1]}ies" if number.endswith("y") else f"{number}s"


def _is_year(number: str) -> bool:
    return number.isdigit() and len(number) == 4 and (1100 <= int(number) <= 1999 or 2010 <= int(number) <= 2099)


def _say(number: str, kind: str = "cardinal") -> str:
    from num2words import num2words  # type: ignore[import-untyped]

    plain = number.replace(",", "")
    if len(plain) > _MOST_DIGITS:
        return " ".join(str(num2words(int(digit))) for digit in plain if digit != ".")
    value = float(plain) if "." in plain else int(plain)
    return str(num2words(value, to=kind)).replace("-", " ").replace(",", "")
