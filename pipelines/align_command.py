"""`asr align`: a recording and its text in, the times of the words out."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr.errors import ConfigError
from asr.output.formats import FORMATS
from asr.output.textgrid import Interval, textgrid
from pipelines.outputs import check_files, save_text

if TYPE_CHECKING:
    from asr.evaluation.transcript_alignment import TextAlignment

ALIGNED = ("textgrid", "ctm", "json", "srt", "vtt")


def align(
    audio: Annotated[Path, typer.Argument(help="a recording; with --check a manifest or folder")],
    text_file: Annotated[Path | None, typer.Argument(metavar="[TEXT]", help="a file with what is said in it")] = None,
    text: Annotated[str | None, typer.Option(help="what is said in it, in place of a file")] = None,
    formats: Annotated[str, typer.Option("--format", "-f", help="some of textgrid,ctm,json,srt,vtt")] = "ctm",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="folder for one file a format")] = None,
    check: Annotated[bool, typer.Option("--check", help="AUDIO is a set, of any kind: list words not there")] = False,
    head: Annotated[str | None, typer.Option(help="whose tokens: phoneme (the closest times) or subword")] = None,
    model: Annotated[str, typer.Option(help="a model's name in the package or its folder")] = "small",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps")] = "auto",
) -> None:
    """Find when each word of a known text is said. Words that seem not to be in the recording are named on stderr."""
    if check:
        _check(audio, text_file or text or out, model=model, device=device, head=head)
        return
    chosen = _chosen(formats)
    if out is None and len(chosen) > 1:
        raise ConfigError("--format", f"several formats ({', '.join(chosen)}) need a folder: add --out DIR")
    said = _text(text_file, text)
    files = {name: _file(out, audio, name) for name in chosen} if out else {}
    check_files(*files.values(), read=(audio, text_file))
    from asr.evaluation.transcript_alignment import align_text  # torch: only now, so that misuse is said at once
    from asr.recognizer import Recognizer

    recognizer = Recognizer.load(model, device=device, decoding="greedy")
    found = align_text(recognizer, audio, said, name=str(audio), head=head)
    for word in found.missing:
        print(
            f"asr: {word.start_s:.2f} s: {word.text!r} seems not to be there ({word.confidence:.2f})", file=sys.stderr
        )
    texts = {name: _textgrid(found) if name == "textgrid" else FORMATS[name](found.transcript) for name in chosen}
    written = [save_text(files.get(name, "-"), content) for name, content in texts.items()]
    if not all(written):
        raise typer.Exit(1)


def _check(data: Path, other: object, *, model: str, device: str, head: str | None) -> None:
    if other:
        raise ConfigError("--check", f"takes the texts from {data} and writes to stdout; leave {other} out")
    from asr.recognizer import Recognizer
    from pipelines.transcript_check import check_transcripts

    check_transcripts(Recognizer.load(model, device=device, decoding="greedy"), data, head=head)


def _chosen(formats: str) -> tuple[str, ...]:
    chosen = tuple(dict.fromkeys(name.strip() for name in formats.split(",") if name.strip()))
    if not chosen or set(chosen) - set(ALIGNED):
        raise ConfigError("--format", f"expected some of {', '.join(ALIGNED)}, got {formats!r}")
    return chosen


def _text(file: Path | None, text: str | None) -> str:
    if (file is None) == (text is None):
        raise ConfigError("text", "expected either a file after the recording or --text, one of the two")
    try:
        said = text if text is not None else file.read_text(encoding="utf-8-sig") if file else ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(file), f"expected a text file in UTF-8: {error}") from error
    if not any(map(str.isalnum, said)):
        raise ConfigError(str(file or "--text"), "holds no word; expected what is said in the recording")
    return said


def _file(out: Path, audio: Path, name: str) -> Path:
    return out / f"{audio.stem}.{'TextGrid' if name == 'textgrid' else name}"


def _textgrid(found: "TextAlignment") -> str:
    words = [Interval(word.text, word.start_s, word.end_s) for word in found.transcript.words]
    tokens = [Interval(token.text, token.start_s, token.end_s) for token in found.tokens]
    return textgrid({"words": words, "tokens": tokens}, found.transcript.duration_s)
