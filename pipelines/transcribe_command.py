"""`asr transcribe`: recordings in, text out."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr.errors import AsrError, ConfigError
from asr.output.formats import FORMATS, parse_formats
from asr.writing import printable, write_whole
from pipelines.batch.ledger import written_before
from pipelines.output_names import name_apart, told_apart
from pipelines.outputs import check_folder, check_unread
from pipelines.progress import Progress
from pipelines.sources import Found, find_recordings

if TYPE_CHECKING:
    from asr.decoding.words import Transcript
    from asr.recognizer import Recognizer


def transcribe(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH…", help="files, folders, globs, manifests (.jsonl), or -")
    ],
    formats: Annotated[str, typer.Option("--format", "-f", help="some of txt,json,srt,vtt,ctm,tsv")] = "txt",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="folder for one file a recording and format")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a line on stdout: --format json")] = False,
    model: Annotated[str, typer.Option(help="a model's name in the package or its folder")] = "small",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or int8")] = "auto",
    decoding: Annotated[str, typer.Option(help="auto, greedy, or beam (lexicon and language model)")] = "auto",
    hotword: Annotated[list[str] | None, typer.Option(help="a phrase to expect, PHRASE or PHRASE=BOOST; again")] = None,
    workers: Annotated[int, typer.Option(min=0, help="processes on Ray; what is done in --out is not done again")] = 0,
    address: Annotated[str | None, typer.Option(help="of a Ray cluster whose nodes all see the files")] = None,
    retry_failed: Annotated[bool, typer.Option(help="with --workers: try again what failed before")] = False,
) -> None:
    """Write down what is said in recordings.

    On stdout, several recordings in txt are one line each: path, tab, text; one recording alone is its text.
    """
    chosen = ("json",) if as_json else parse_formats(formats)
    if out is None and len(chosen) > 1:
        raise ConfigError("--format", f"several formats ({', '.join(chosen)}) need a folder: add --out DIR")
    everything = list(find_recordings(paths))
    found = [x for x in everything if isinstance(x, Found)]
    failed = [x for x in everything if isinstance(x, AsrError)]
    for said in (x for x in everything if not isinstance(x, Found)):
        print(f"asr: {printable(str(said))}", file=sys.stderr)
    if not found:
        if not failed:
            print("asr: nothing to transcribe in " + ", ".join(paths), file=sys.stderr)
        raise typer.Exit(2)
    if out is not None:
        if out.exists() and not out.is_dir():
            raise ConfigError("--out", f"expected a folder, {out} is a file")
        check_folder(out)
        found = _named_apart(found, out)
        read = [*map(Path, paths), *(recording.path for recording in found)]
        check_unread((out / f"{recording.stem}.{name}" for recording in found for name in chosen), read)
    if workers or address:
        if out is None:
            raise ConfigError("--workers", "a batch keeps its ledger in the output folder: add --out DIR")
        from pipelines.batch.folder_batch import run_batch
        from pipelines.batch.pool import PoolConfig
        from pipelines.ray_connection import placed

        if hotword:
            raise ConfigError("--hotword", "not with --workers or --address yet; leave these out")
        config = PoolConfig(workers or 1, placed(model), device, precision, decoding, address)
        status = run_batch(found, out, chosen, config, retry_failed=retry_failed)
        raise typer.Exit(status or (1 if failed else 0))
    from asr.decoding.hotwords import parse_hotwords
    from asr.recognizer import Recognizer  # torch: only now, so that misuse is said at once

    expected = parse_hotwords(hotword or ())
    recognizer = Recognizer.load(model, device=device, precision=precision, decoding=decoding, hotwords=expected)
    failures = len(failed) + _transcribe_all(recognizer, found, chosen, out)
    raise typer.Exit(1 if failures else 0)


def _named_apart(found: list[Found], out: Path) -> list[Found]:
    """With names for their outputs of which no two are the same, those of earlier runs kept. Raises ConfigError."""
    named = name_apart(found, written_before(out))
    if said := told_apart(found, named):
        print(f"asr: {printable(said)}", file=sys.stderr)
    return named


def _transcribe_all(recognizer: "Recognizer", found: list[Found], chosen: tuple[str, ...], out: Path | None) -> int:
    """Transcribe and write everything, of damaged recordings what could be read; how many failed."""
    failures, began, seconds = 0, time.perf_counter(), 0.0
    with Progress(len(found)) as progress:
        for recording, result in zip(found, _results(recognizer, found), strict=True):
            if isinstance(result, AsrError):
                failures += 1
                progress.say(f"asr: {printable(str(result))}")
                if result.heard is not None:
                    _write(recording, result.heard, chosen, out, alone=len(found) == 1)
            else:
                for note in result.notes:
                    progress.say(f"asr: {printable(f'{recording.name}: {note}')}")
                failures += _write(recording, result, chosen, out, alone=len(found) == 1)
                seconds += result.duration_s
            progress.advance(seconds)
    wall = time.perf_counter() - began
    if len(found) > 1 or sys.stderr.isatty():
        done = f"{len(found) - failures} of {len(found)} recordings, {seconds / 60:.1f} min of audio in {wall:.1f} s"
        print(f"asr: {done} ({seconds / wall:.0f} x real time)", file=sys.stderr)
    return failures


def _results(recognizer: "Recognizer", found: list[Found]) -> "Iterator[Transcript | AsrError]":
    if len(found) > 1:
        yield from recognizer.transcribe_many((recording.name, recording.open()) for recording in found)
        return
    try:  # one recording: its utterances side by side, instead of recordings
        yield recognizer.transcribe(found[0].open(), name=found[0].name)
    except AsrError as error:
        yield error


def _write(
    recording: Found, transcript: "Transcript", chosen: tuple[str, ...], out: Path | None, *, alone: bool
) -> bool:
    """Whether it failed."""
    if out is None:
        [name] = chosen
        line = f"{_on_one_line(transcript.name)}\t{transcript.text}\n"
        sys.stdout.write(printable(line if name == "txt" and not alone else FORMATS[name](transcript)))
        sys.stdout.flush()
        return False
    try:
        for name in chosen:
            write_whole(out / f"{recording.stem}.{name}", FORMATS[name](transcript))
    except AsrError as error:
        print(f"asr: {printable(recording.name)}: its text cannot be written: {error}", file=sys.stderr)
        return True
    return False


def _on_one_line(name: str) -> str:
    return name.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
