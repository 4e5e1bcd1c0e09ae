"""Text normalisers by name: what counts as the same words. Each is a short list of rules, and users may add their own.

none      spaces only
basic     lower case, no punctuation, hyphens are spaces
english   basic, and numbers as words, contractions written out, American spelling, no hesitations
whisper   OpenAI's English rules (whisper-normalizer), which most published scores use
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from asr.errors import ConfigError
from asr.evaluation import english

Normaliser = Callable[[str], str]

_UNSEEN = "\u00ad\u200c\u200d\u200e\u200f\u2060\ufeff"  # soft hyphens, joiners, marks: inside a word they part nothing
_PLAIN = str.maketrans(dict.fromkeys("\u2019\u2018\u02bc\u00b4`", "'") | dict.fromkeys(_UNSEEN))
_NOT_WORDS = re.compile(r"[^\w']|_")
_OUTER_APOSTROPHES = re.compile(r"(?<!\w)'+|'+(?!\w)")


@dataclass(frozen=True)
class Rule:
    """One replacement, made before the named normaliser, whatever the case."""

    pattern: re.Pattern[str]
    replacement: str

    def __call__(self, text: str) -> str:
        """The text with every match replaced."""
        return self.pattern.sub(self.replacement, text)


def nothing(text: str) -> str:
    """Only spaces are made single."""
    return " ".join(text.split())


def basic(text: str) -> str:
    """Lower case, letters, digits and apostrophes inside words; all else is a space."""
    return nothing(_OUTER_APOSTROPHES.sub(" ", _NOT_WORDS.sub(" ", _plain(text))))


def english_words(text: str) -> str:
    """`basic`, with the rules of `asr.evaluation.english` around it."""
    spoken = basic(_without_accents(english.write_numbers(english.expand_symbols(_plain(text)))))
    return nothing(english.unify_words(spoken))


@lru_cache(maxsize=1)
def _whisper() -> Normaliser:
    from whisper_normalizer.english import EnglishTextNormalizer  # type: ignore[import-untyped]

    normalise: Normaliser = EnglishTextNormalizer()
    return normalise


def whisper(text: str) -> str:
    """OpenAI's English normaliser: numbers as digits, contractions written out, American spelling."""
    return nothing(_whisper()(text))


NORMALISERS: Mapping[str, Normaliser] = {
    "none": nothing,
    "basic": basic,
    "english": english_words,
    "whisper": whisper,
}


def choose_normaliser(name: str, rules: Sequence[Rule] = ()) -> Normaliser:
    """The normaliser of a name, after the user's rules. Raises ConfigError for an unknown name."""
    if name not in NORMALISERS:
        raise ConfigError(f"normaliser {name!r}", f"expected one of {', '.join(NORMALISERS)}")
    return partial(_apply, tuple(rules), NORMALISERS[name]) if rules else NORMALISERS[name]


def read_rules(path: Path) -> tuple[Rule, ...]:
    """Lines "words => other words" or "/regular expression/ => text"; # begins a comment. Raises ConfigError."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(path, f"expected a file of rules that can be read: {error}") from error
    stripped = ((f"{path}:{number}", line.partition(" #")[0].strip()) for number, line in enumerate(lines, 1))
    return tuple(_rule(where, line) for where, line in stripped if line and not line.startswith("#"))


def _rule(where: str, line: str) -> Rule:
    before, arrow, after = (part.strip() for part in line.partition("=>"))
    if not arrow or not before:
        raise ConfigError(where, f"expected 'words => other words' or '/regular expression/ => text', got {line!r}")
    is_regex = len(before) > 2 and before.startswith("/") and before.endswith("/")
    source = before[1:-1] if is_regex else rf"(?<!\w){re.escape(before)}(?!\w)"
    try:
        return Rule(re.compile(source, re.IGNORECASE), after if is_regex else after.replace("\\", r"\\"))
    except re.error as error:
        raise ConfigError(where, f"this is no regular expression: {error}") from None


def _apply(rules: tuple[Rule, ...], normalise: Normaliser, text: str) -> str:
    for rule in rules:
        text = rule(text)
    return normalise(text)


def _plain(text: str) -> str:
    """Lower case, one kind of apostrophe (told first: NFKC takes \u00b4 for a space with an accent), nothing unseen."""
    return unicodedata.normalize("NFKC", text.translate(_PLAIN)).lower()


def _without_accents(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
