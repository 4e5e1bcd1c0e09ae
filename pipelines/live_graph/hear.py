"""`asr live --ray`: all streams of one command, from start to end, in a folder that another run can go on in."""

import asyncio
import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from asr.audio.reader import SAMPLE_RATE
from asr.errors import AsrError
from pipelines.interrupt import ENDS
from pipelines.live_graph.config import CHUNK, GraphConfig, ModelChoice
from pipelines.live_graph.figures import StreamFigures
from pipelines.live_graph.graph import Graph
from pipelines.live_graph.scaling import Need
from pipelines.live_graph.session import Session, Viewer
from pipelines.live_graph.sources import Source
from pipelines.outputs import lock
from pipelines.ray_connection import connected


def hear(
    sources: Mapping[str, Source],
    choice: ModelChoice,
    config: GraphConfig,
    viewer: Viewer,
    *,
    session: Path | None = None,
    out: Path | None = None,
    address: str | None = None,
) -> bool:
    """Hear all streams to their ends, or to Ctrl-C; whether all ended without error.

    `session`: the folder of journal, snapshots and kept audio; a run that was killed goes on from it. Raises
    ConfigError while another run uses it, OverloadedError where actors cannot start.
    """
    cpus = config.features.least * config.features.cpus + config.recognizers.most * config.recognizers.cpus
    with _folder(session) as folder, connected(address, cpus=round(cpus) + 1) as ray:
        graph = Graph(ray, choice, config, sources, folder, out)
        try:
            return asyncio.run(_hear(graph, sources, config, viewer, folder))
        finally:
            graph.close()


async def _hear(graph: Graph, sources: Mapping[str, Source], config: GraphConfig, viewer: Viewer, folder: Path) -> bool:
    await graph.start()
    loop, figures = asyncio.get_running_loop(), StreamFigures()
    with contextlib.suppress(RuntimeError, ValueError):  # only a main thread has signals
        for number in ENDS:
            loop.add_signal_handler(number, _stop, loop, graph)
    sessions = [Session(name, graph, viewer, config, folder / name) for name in sources]
    for session in sessions:
        session.lags = partial(_note, figures, session.stream)
    figures.streams(len(sessions))
    scaling = asyncio.create_task(_scale(graph, sessions, viewer))
    try:
        return all(await asyncio.gather(*(session.run() for session in sessions)))
    finally:
        scaling.cancel()
        figures.streams(0)


def _note(figures: StreamFigures, stream: str, lag_s: float) -> None:
    figures.chunk(stream, lag_s, CHUNK / SAMPLE_RATE)


def _stop(loop: asyncio.AbstractEventLoop, graph: Graph) -> None:
    """Ctrl-C, or what is taken like it: the last words are still said. Another Ctrl-C does not wait for them."""
    for number in ENDS:
        loop.remove_signal_handler(number)
    graph.stop()


async def _scale(graph: Graph, sessions: list[Session], viewer: Viewer) -> None:
    """Hire and dismiss as the streams' lags ask for."""
    need = Need()
    while True:
        await asyncio.sleep(1.0)
        change = need.after(max(session.lag_s for session in sessions))
        for pool in (graph.recognizers, graph.features) if change else ():
            if change < 0 and pool.may_shrink:
                pool.dismiss()
            if change > 0 and pool.may_grow:
                try:
                    await pool.hire()
                except AsrError as error:
                    viewer.notice(str(error))


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    """The session's folder, locked; a temporary one where none is given."""
    if given is None:
        with tempfile.TemporaryDirectory(prefix="asr-live-", ignore_cleanup_errors=True) as name:
            yield Path(name)
        return
    with lock(given / "lock", "--session"):
        yield given
