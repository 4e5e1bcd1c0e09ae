"""The live graph on Ray: actors made of the plain stages, and the sessions' calls to them."""

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from asr.errors import AsrError
from asr.events import Final
from pipelines.live_graph.actors import FeatureActor, RecognizerActor
from pipelines.live_graph.capture import Capture
from pipelines.live_graph.config import GraphConfig, ModelChoice
from pipelines.live_graph.output import Output, Written
from pipelines.live_graph.pool import Pool
from pipelines.live_graph.session import LostError, Ref
from pipelines.live_graph.sources import Source
from pipelines.ray_connection import own_error

_ASIDE = "aside"  # calls to `Capture` that wait behind no read, however many of those wait for sound


class Graph:
    """All actors of one run. Capture and output stand on this machine, where the microphone and the folder are."""

    def __init__(
        self,
        ray: Any,
        choice: ModelChoice,
        config: GraphConfig,
        sources: Mapping[str, Source],
        folder: Path,
        out: Path | None,
    ) -> None:
        self._ray, self._config = ray, config
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        kept: dict[str, Any] = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1, "scheduling_strategy": here}
        readers = len(sources) * (config.depth + 1) + 2
        self.capture: Any = ray.remote(max_concurrency=readers, concurrency_groups={_ASIDE: 1}, **kept)(Capture).remote(
            dict(sources), folder.absolute(), queued_s=config.queued_s
        )
        self.output: Any = ray.remote(**kept)(Output).remote(
            folder.absolute(), out and out.absolute(), named=len(sources) > 1
        )
        steps: list[Any] = [config, self._lost, choice, config.batch]
        self.features = Pool(ray, FeatureActor, config.features, *steps)
        self.recognizers = Pool(ray, RecognizerActor, config.recognizers, *steps)
        self._turns = itertools.count(1)  # of reads
        self._waiting: dict[str, asyncio.Future[Any]] = {}  # of each stream, for a step
        self._gone: set[str] = set()  # streams whose steps under way will come late or never

    async def start(self) -> None:
        """Every actor ready. Raises OverloadedError."""
        await asyncio.gather(self.features.start(), self.recognizers.start())

    def read(self, stream: str, number: int) -> tuple[Ref, Ref]:
        """session.Stages.read."""
        samples, caught = self.capture.read.options(num_returns=2).remote(stream, number, next(self._turns))
        return samples, caught

    def hear(self, stream: str, hearing: Ref, samples: Ref) -> tuple[Ref, Ref]:
        """session.Stages.hear."""
        state, heard = self.features.of(stream).step.options(num_returns=2).remote(hearing, samples)
        return state, heard

    def finish(self, stream: str, hearing: Ref) -> Ref:
        """session.Stages.finish."""
        return self.features.of(stream).finish.remote(hearing)

    def say(self, stream: str, reading: Ref, heard: Ref) -> tuple[Ref, Ref]:
        """session.Stages.say."""
        state, events = self.recognizers.of(stream).step.options(num_returns=2).remote(reading, heard)
        return state, events

    async def get(self, stream: str, ref: Ref, *, patient: bool = False) -> Any:
        """session.Stages.get."""
        self._waiting[stream] = waiting = asyncio.ensure_future(self._get(ref, patient))
        if stream in self._gone:
            waiting.cancel()
        try:
            return await waiting
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():  # by somebody else than `_lost`
                raise
            raise LostError("its worker died") from None

    def _lost(self, stream: str) -> None:
        """Its steps' actor died and another is well: no more waiting."""
        self._gone.add(stream)
        if stream in self._waiting:
            self._waiting[stream].cancel()

    async def _get(self, ref: Ref, patient: bool = False) -> Any:
        errors = self._ray.exceptions
        try:
            return await asyncio.wait_for(ref, None if patient else self._config.patience_s)
        except TimeoutError:
            raise LostError(f"no answer in {self._config.patience_s:.0f} s") from None
        except errors.RayTaskError as error:
            ours = own_error(error)
            if ours is None and not isinstance(error.cause, errors.RayError):
                ours = AsrError("internal", f"{type(error.cause).__name__}: {error.cause}")
            raise ours or LostError(str(error.cause)) from error
        except errors.RayError as error:
            raise LostError(type(error).__name__) from error

    async def written(self, stream: str) -> Written:
        """session.Stages.written."""
        found: Written = await self._get(self.output.written.remote(stream))
        return found

    async def write(self, finals: Sequence[Final]) -> str:
        """session.Stages.write."""
        said: str = await self._get(self.output.write.remote(list(finals)))
        return said

    async def end(self, stream: str) -> None:
        """session.Stages.end."""
        await self._get(self.output.end.remote(stream))

    def forget(self, stream: str, before: int) -> None:
        """session.Stages.forget."""
        self.capture.forget.options(concurrency_group=_ASIDE).remote(stream, before)

    def rest(self, stream: str) -> None:
        """session.Stages.rest."""
        self.features.rest(stream)
        self.recognizers.rest(stream)

    def moved(self, stream: str) -> None:
        """session.Stages.moved."""
        if stream in self._gone:
            self._gone.remove(stream)  # the pool knows who died
            return
        self.features.suspect(stream)
        self.recognizers.suspect(stream)

    def stop(self) -> None:
        """Sources end; sessions say their last words."""
        self.capture.stop.options(concurrency_group=_ASIDE).remote()

    def close(self) -> None:
        """End all actors."""
        for actor in [self.capture, self.output, *self.features.actors, *self.recognizers.actors]:
            self._ray.kill(actor)
