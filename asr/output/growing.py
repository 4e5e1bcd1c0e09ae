"""A text that grows with each utterance, in the formats of `asr.output.formats`: what is written stays as it is.

Pieces joined are the format's whole text, but that a subtitle ends with its utterance; jsonl has a line an utterance.
"""

import json
from dataclasses import dataclass

from asr.decoding.words import Transcript, Utterance
from asr.errors import ConfigError
from asr.output.formats import FORMATS, utterance_fields
from asr.output.subtitles import cues, srt_cue, vtt_cue

GROWING = ("txt", "jsonl", "srt", "vtt", "ctm", "tsv")
TITLED = ("srt", "vtt", "tsv")  # these have a title or count from 1: nothing can be added to an old one


@dataclass(frozen=True)
class Growth:
    """What a growing text remembers."""

    format: str  # one of GROWING
    name: str  # of the stream
    cues: int = 0  # subtitles so far


def begin(name: str, stream: str) -> tuple[Growth, str]:
    """A format by its name -> what stands before the first utterance. Raises ConfigError."""
    if name not in GROWING:
        raise ConfigError("--format", f"expected one of {', '.join(GROWING)}, got {name!r}")
    nothing = Transcript(stream, 0.0, ())
    return Growth(name, stream), FORMATS[name](nothing) if name in TITLED else ""


def add(growth: Growth, utterance: Utterance) -> tuple[Growth, str]:
    """One utterance more -> its piece; "" for one without words."""
    if not utterance.words:
        return growth, ""
    alone = Transcript(growth.name, utterance.end_s, (utterance,))
    match growth.format:
        case "jsonl":
            line = {"name": growth.name, **utterance_fields(utterance)}
            return growth, json.dumps(line, ensure_ascii=False) + "\n"
        case "srt" | "vtt":
            found = cues(alone, until_s=max(utterance.end_s, utterance.words[-1].end_s))
            after = Growth(growth.format, growth.name, growth.cues + len(found))
            if growth.format == "vtt":
                return after, "".join(map(vtt_cue, found))
            return after, "".join(srt_cue(cue, number) for number, cue in enumerate(found, growth.cues + 1))
        case "tsv":
            return growth, FORMATS["tsv"](alone).split("\n", 1)[1]
        case _:
            return growth, FORMATS[growth.format](alone)
