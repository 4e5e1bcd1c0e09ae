"""`asr live`: words while they are spoken."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr.errors import ConfigError

if TYPE_CHECKING:
    from asr.audio.microphone import Notice, Samples
    from asr.live import Live
    from pipelines.live_screen import Screen

_GROWING = (".jsonl", ".srt", ".vtt", ".ctm", ".tsv")  # files that `asr live` without --ray writes by their names


def live(
    sources: Annotated[
        list[str] | None, typer.Option("--input", "-i", help="a file, or - for raw 16-bit 16 kHz samples")
    ] = None,
    speed: Annotated[float, typer.Option(help="of a file: 1 as it was spoken, 0 as fast as it goes")] = 1.0,
    microphone: Annotated[str, typer.Option(help="its number or a part of its name; see --list-devices")] = "",
    list_devices: Annotated[bool, typer.Option("--list-devices", help="show the microphones and end")] = False,
    delay_ms: Annotated[float, typer.Option(help="of partials: less is sooner and less sure")] = 960.0,
    as_json: Annotated[bool, typer.Option("--json", help="events as JSON lines instead of text")] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="write the words to this file too")] = None,
    form: Annotated[str, typer.Option("--format", "-f", help="txt, jsonl, srt, vtt, ctm or tsv, as it grows")] = "",
    save_audio: Annotated[Path | None, typer.Option(help="keep what is heard as a wav file")] = None,
    model: Annotated[str, typer.Option(help="a model's name in the package or its folder")] = "small",
    device: Annotated[str, typer.Option(help="to compute on: auto, cpu, cuda or mps")] = "auto",
    precision: Annotated[str, typer.Option(help="of finals: auto, fp32, bf16 or int8")] = "auto",
    decoding: Annotated[str, typer.Option(help="of finals: auto, greedy or beam")] = "auto",
    partials: Annotated[str, typer.Option(help="auto (as finals), greedy or beam")] = "auto",
    hotword: Annotated[list[str] | None, typer.Option(help="a phrase to expect, PHRASE or PHRASE=BOOST; again")] = None,
    on_ray: Annotated[bool, typer.Option("--ray", help="as actors on Ray: many inputs, also tcp://HOST:PORT")] = False,
    streams: Annotated[
        int, typer.Option(min=0, help="with --ray: streams in all; the inputs are gone through again")
    ] = 0,
    address: Annotated[str | None, typer.Option(help="of a Ray cluster; means --ray")] = None,
    session: Annotated[Path | None, typer.Option(help="with --ray: folder that a killed run goes on from")] = None,
    graph: Annotated[Path | None, typer.Option(help="with --ray: YAML of actors, queues and patience")] = None,
) -> None:
    """Write down what is said while it is said. Ctrl-C ends it and keeps the last words.

    Partial words stand on the last line of a terminal and change; finals stay. Elsewhere only finals are written.
    """
    from asr.writing import printable
    from pipelines.live_screen import open_screen
    from pipelines.outputs import check_files

    if list_devices:
        _show_devices()
        return
    inputs = sources or []
    check_files(out, read=map(Path, inputs))
    if on_ray or address:
        from pipelines.live_graph.command import hear_on_ray
        from pipelines.live_graph.config import ModelChoice
        from pipelines.ray_connection import placed

        if save_audio:
            raise ConfigError("--save-audio", "not with --ray, which keeps the sound in --session")
        _check(inputs, speed, microphone)
        if form not in ("", "txt") or (out is not None and out.suffix in _GROWING):
            raise ConfigError("--format", "with --ray only txt is written; --json prints every event with its times")
        choice = ModelChoice(placed(model), device, precision, decoding, delay_ms, partials, tuple(hotword or ()))
        hear_on_ray(
            inputs,
            choice,
            speed=speed,
            microphone=microphone,
            streams=streams,
            address=address,
            session=session,
            graph=graph,
            as_json=as_json,
            out=out,
        )
        return
    if len(inputs) > 1 or streams or session or graph:
        raise ConfigError("asr live", "several inputs, --streams, --session and --graph need --ray")
    source = inputs[0] if inputs else ""
    from asr.decoding.hotwords import parse_hotwords
    from asr.recognizer import Recognizer

    sound = _sound(source, speed, microphone)
    expected = parse_hotwords(hotword or ())
    recognizer = Recognizer.load(model, device=device, precision=precision, decoding=decoding, hotwords=expected)
    name = printable(source or "microphone")
    stream = recognizer.live(delay_ms=delay_ms, stream=name, partials=partials)
    screen = open_screen(as_json=as_json, out=out, form=form, stream=name)
    _listen(stream, sound, screen, save_audio)
    if screen.incomplete:
        raise typer.Exit(1)


def _listen(stream: "Live", sound: "Iterator[Samples | Notice]", screen: "Screen", save_audio: Path | None) -> None:
    """Push until the sound ends or Ctrl-C; then the last words."""
    from asr.audio.microphone import Notice
    from pipelines.interrupt import sure_interrupt
    from pipelines.live_sources import Saved

    saved = Saved(save_audio, screen.notice)
    try:
        with sure_interrupt() as check:
            for part in sound:
                check()
                if isinstance(part, Notice):
                    screen.notice(part.message)
                    continue
                saved.add(part)
                screen.level(part)
                screen.show(stream.push(part))
    except KeyboardInterrupt:
        pass  # a person has said enough; the last words follow
    finally:
        with ExitStack() as last:  # in this order, each whatever becomes of the others
            last.callback(saved.close)
            last.callback(screen.close)
            screen.show(stream.finish())


def _sound(source: str, speed: float, microphone: str) -> "Iterator[Samples | Notice]":
    from asr.audio.microphone import listen
    from pipelines.live_sources import play, read_pcm

    _check([source] if source else [], speed, microphone)
    if source == "-":
        return read_pcm(sys.stdin.buffer)
    if source:
        return play(Path(source), speed)
    return listen(int(microphone) if microphone.isdecimal() else microphone or None)


def _check(inputs: list[str], speed: float, microphone: str) -> None:
    if inputs and microphone:
        raise ConfigError("--input", "give either --input or --microphone, not both")
    if pipes := [text for text in inputs if Path(text).is_fifo()]:
        raise ConfigError("--input", f"{pipes[0]} is a pipe; its raw samples are heard by --input - < {pipes[0]}")
    if not speed >= 0:
        raise ConfigError("--speed", f"expected 0 or more, got {speed}")


def _show_devices() -> None:
    from asr.audio.microphone import list_devices, load_sounddevice

    lines = list_devices(load_sounddevice())
    if not lines:
        print("asr: no device that records was found; is a microphone plugged in?", file=sys.stderr)
        raise typer.Exit(1)
    print("\n".join(lines))
