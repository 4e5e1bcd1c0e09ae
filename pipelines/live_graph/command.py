"""What `asr live --ray` does with its options, and how it shows many streams."""

import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from asr.errors import ConfigError
from asr.events import Event, Failure, Final
from pipelines.live_graph.config import GraphConfig, ModelChoice
from pipelines.live_graph.session import Viewer
from pipelines.live_graph.sources import sources_of
from pipelines.live_screen import json_line
from pipelines.ray_connection import data_only_on_stdout


def hear_on_ray(
    inputs: Sequence[str],
    choice: ModelChoice,
    *,
    speed: float,
    microphone: str,
    streams: int,
    address: str | None,
    session: Path | None,
    graph: Path | None,
    as_json: bool,
    out: Path | None,
) -> None:
    """Hear the inputs; exit status 1 where one of them ended with an error. Raises ConfigError, OverloadedError."""
    from asr.decoding.hotwords import parse_hotwords
    from asr.model.bundle import frame_seconds, read_configs
    from asr.model.latency import LatencyConfig
    from asr.recognizer import find_model
    from asr.settings import read_settings

    sources = sources_of(inputs, streams, speed=speed, microphone=microphone)
    config = read_settings(GraphConfig, graph) if graph else GraphConfig()
    # A model that is not there and a delay that it cannot keep are said at once, not by an actor.
    features, model = read_configs(find_model(choice.model))
    frame_ms = 1000 * frame_seconds(features, model)
    LatencyConfig.of_delay(choice.delay_ms, bidirectional=model.bidirectional, frame_ms=frame_ms)
    parse_hotwords(choice.hotwords)
    if choice.partials not in ("auto", "greedy", "beam"):
        raise ConfigError("--partials", f"expected auto, greedy or beam, got {choice.partials!r}")
    viewer = Lines(as_json=as_json) if len(sources) > 1 else one_stream(as_json=as_json)
    from pipelines.live_graph.hear import hear

    with data_only_on_stdout():
        well = hear(sources, choice, config, viewer, session=session, out=out, address=address)
    if not well:
        raise typer.Exit(1)


def one_stream(*, as_json: bool) -> Viewer:
    """The terminal of `asr live`; the text file is written by the output actor."""
    from pipelines.live_screen import Screen

    return _Tell(Screen(as_json=as_json, out=None), as_json=as_json)


class Lines:
    """Many streams: a line for each final, stream, tab, text; with --json every event."""

    def __init__(self, *, as_json: bool) -> None:
        self._json = as_json

    def show(self, events: list[Event]) -> None:
        """Events of one stream, in order."""
        for event in events:
            if self._json:
                print(json_line(event), flush=True)
            elif isinstance(event, Final) and event.text:
                print(f"{event.stream}\t{event.text}", flush=True)
            if isinstance(event, Failure):
                self.notice(event.message)

    def notice(self, message: str) -> None:
        """A line on stderr."""
        print(f"asr: {message}", file=sys.stderr, flush=True)


class _Tell:
    """A screen that also says on stderr why a stream ended."""

    def __init__(self, screen: Viewer, *, as_json: bool) -> None:
        self._screen, self._json = screen, as_json

    def show(self, events: list[Event]) -> None:
        """Events of the stream, in order."""
        self._screen.show(events)
        for event in events:
            if isinstance(event, Failure):
                self._screen.notice(event.message)

    def notice(self, message: str) -> None:
        """A line on stderr."""
        self._screen.notice(message)
