"""A transcript as txt, json, srt, vtt, ctm or tsv: pure functions, Transcript -> str; every word once, in order."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from asr.decoding.words import Transcript, Utterance
from asr.errors import ConfigError
from asr.output.subtitles import srt, vtt

JSON_VERSION = 1


def txt(transcript: Transcript) -> str:
    """One utterance with words in it a line."""
    return "".join(f"{utterance.text}\n" for utterance in transcript.utterances if utterance.words)


def as_json(transcript: Transcript) -> str:
    """One object: version, name, duration_s, text, utterances [{start_s, end_s, text, words [{text, start_s, …}]}]."""
    return json.dumps(fields(transcript), ensure_ascii=False) + "\n"


def fields(transcript: Transcript) -> dict[str, Any]:
    """What `as_json` writes, as plain values."""
    return {
        "version": JSON_VERSION,
        "name": transcript.name,
        "duration_s": round(transcript.duration_s, 3),
        "text": transcript.text,
        "utterances": [utterance_fields(utterance) for utterance in transcript.utterances],
    }


def utterance_fields(utterance: Utterance) -> dict[str, Any]:
    """One of a transcript's utterances, as plain values."""
    values: dict[str, Any] = {
        "start_s": round(utterance.start_s, 3),
        "end_s": round(utterance.end_s, 3),
        "text": utterance.text,
        "words": [
            {
                "text": word.text,
                "start_s": round(word.start_s, 3),
                "end_s": round(word.end_s, 3),
                "confidence": round(word.confidence, 4),
            }
            for word in utterance.words
        ],
    }
    if utterance.alternatives:
        values["alternatives"] = [{"text": x.text, "score": round(x.score, 4)} for x in utterance.alternatives]
    return values


def ctm(transcript: Transcript) -> str:
    """NIST's CTM: name, channel 1, start, duration, word, confidence. Spaces in the name become underscores."""
    name = "_".join(transcript.name.split())
    return "".join(
        f"{name} 1 {word.start_s:.3f} {word.end_s - word.start_s:.3f} {word.text} {word.confidence:.4f}\n"
        for word in transcript.words
    )


def tsv(transcript: Transcript) -> str:
    """A header, then one utterance with words in it a line: start and end in seconds, text."""
    return "".join(["start_s\tend_s\ttext\n", *_rows(transcript)])


def _rows(transcript: Transcript) -> Iterator[str]:
    for utterance in transcript.utterances:
        if utterance.words:
            yield f"{utterance.start_s:.3f}\t{utterance.end_s:.3f}\t{utterance.text}\n"


FORMATS: dict[str, Callable[[Transcript], str]] = {
    "txt": txt,
    "json": as_json,
    "srt": srt,
    "vtt": vtt,
    "ctm": ctm,
    "tsv": tsv,
}


def parse_formats(names: str) -> tuple[str, ...]:
    """ "txt,srt" -> ("txt", "srt"). Raises ConfigError for a name that is no format."""
    chosen = tuple(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
    unknown = [name for name in chosen if name not in FORMATS]
    if unknown or not chosen:
        raise ConfigError("--format", f"expected some of {', '.join(FORMATS)}, got {names!r}")
    return chosen
