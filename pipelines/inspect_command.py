"""`asr inspect`: one picture of a recording as the model hears it."""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr.errors import ConfigError
from pipelines.outputs import check_files, save

if TYPE_CHECKING:
    from asr.evaluation.inspection import Inspection

KINDS = (".png", ".svg")


def inspect(
    file: Annotated[Path, typer.Argument(help="a recording")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="the picture, .png or .svg; else NAME.png")] = None,
    html: Annotated[Path | None, typer.Option(help="a page with a player whose cursor runs along")] = None,
    from_s: Annotated[float, typer.Option("--from", min=0.0, help="seconds into the recording")] = 0.0,
    to_s: Annotated[float | None, typer.Option("--to", help="seconds; a picture shows 30 s, a page 600")] = None,
    head: Annotated[str | None, typer.Option(help="whose tokens: subword or phoneme; else the decoder's")] = None,
    delay_ms: Annotated[float, typer.Option(help="of live partials")] = 960.0,
    model: Annotated[str, typer.Option(help="a model's name in the package or its folder")] = "small",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or int8")] = "auto",
    decoding: Annotated[str, typer.Option(help="auto, greedy, or beam (lexicon and language model)")] = "auto",
) -> None:
    """Draw waveform, detected speech, log-mel, token posteriors, words with confidence, and when live showed them."""
    if out and out.suffix.lower() not in KINDS:
        raise ConfigError("--out", f"expected a name that ends in {' or '.join(KINDS)}, got {out}")
    if not html and not out:
        out = Path(f"{file.stem}.png")
    check_files(out, html, read=[file])
    from asr.evaluation.inspection import LONGEST_S
    from asr.evaluation.inspection import inspect as look
    from asr.evaluation.report import inspection_picture
    from asr.recognizer import Recognizer

    longest = LONGEST_S if html else inspection_picture.LONGEST_S
    if to_s is None or to_s - from_s > longest:
        asked, to_s = to_s, from_s + longest
        _say_if_cut(file, from_s, asked, longest)
    recognizer = Recognizer.load(model, device=device, precision=precision, decoding=decoding)
    found = look(recognizer, file, from_s=from_s, to_s=to_s, head=head, delay_ms=delay_ms)
    if not _write(found, out, html):
        raise typer.Exit(1)


def _say_if_cut(file: Path, from_s: float, to_s: float | None, longest: float) -> None:
    from asr.audio.reader import probe_duration

    end = to_s if to_s is not None else probe_duration(file)
    if end is not None and end - from_s > longest:
        print(f"asr: {file}: showing {from_s:g} to {from_s + longest:g} s; --from goes on from there", file=sys.stderr)


def _write(found: "Inspection", out: Path | None, html: Path | None) -> bool:
    """Whether all could be written; the names of what was are on stdout."""
    from asr.evaluation.report.inspection_page import write_page
    from asr.evaluation.report.inspection_picture import draw, write_picture

    written = []
    if out:
        written.append(save(out, partial(write_picture, draw(found, kind=out.suffix.lower()[1:]))))
    if html:
        written.append(save(html, partial(write_page, found)))
    for path, done in zip(filter(None, (out, html)), written, strict=True):
        if done:
            print(path)
    return all(written)
