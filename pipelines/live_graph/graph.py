"""The live graph on Ray: actors made of the plain stages, pools of them, and the sessions' calls to them."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from asr.errors import AsrError, OverloadedError
from asr.events import Final
from pipelines.live_graph.actors import FeatureActor, RecognizerActor
from pipelines.live_graph.capture import Capture
from pipelines.live_graph.config import ActorConfig, GraphConfig, ModelChoice
from pipelines.live_graph.output import Output, Written
from pipelines.live_graph.session import LostError, Ref
from pipelines.live_graph.sources import Source
from pipelines.ray_connection import own_error

_START_S = 180.0  # that the first actors may take


class Pool:
    """Actors of one kind. A stream's steps go to one of them, batched with others'; any other can take them on."""

    def __init__(self, ray: Any, kind: type, config: ActorConfig, graph: GraphConfig, *arguments: Any) -> None:
        self._ray, self._config, self._arguments = ray, config, arguments
        self._actor: Any = ray.remote(
            num_cpus=config.cpus,
            num_gpus=config.gpus,
            resources=config.resources or None,
            max_restarts=-1,
            max_task_retries=graph.retries,
            max_concurrency=2 * graph.batch.queued,
            scheduling_strategy="SPREAD",
        )(kind)
        self.actors: list[Any] = []
        self._of: dict[str, Any] = {}

    async def start(self) -> None:
        """The least number of actors, ready. Raises OverloadedError where they cannot start."""
        await asyncio.gather(*(self.hire() for _ in range(self._config.least)))

    async def hire(self) -> None:
        """One more, ready."""
        actor = self._actor.remote(*self._arguments)
        try:
            await asyncio.wait_for(_value(actor.ready.remote()), _START_S)
        except TimeoutError:
            self._ray.kill(actor)
            raise OverloadedError("--ray", f"no actor could start in {_START_S:.0f} s; is the cluster full?") from None
        except self._ray.exceptions.RayError as error:
            reason = str(error).strip().splitlines()[-1]
            raise OverloadedError("--ray", f"an actor could not start: {reason}") from error
        self.actors.append(actor)
        self._of.clear()  # every stream chooses anew: the newcomer gets its share

    def dismiss(self) -> None:
        """One fewer; its streams go to others."""
        actor = self.actors.pop()
        self._of.clear()
        asyncio.get_running_loop().call_later(30.0, self._ray.kill, actor)  # steps under way end before

    def of(self, stream: str) -> Any:
        """Who does this stream's steps: the one that had the last, else the one with the fewest streams."""
        if stream not in self._of:
            counts = Counter(self._of.values())
            self._of[stream] = min(self.actors, key=lambda actor: counts[actor])
        return self._of[stream]

    def move(self, stream: str) -> None:
        """Something was lost: another, where there is one, does this stream's steps from now on."""
        before = self._of.pop(stream, None)
        others = [actor for actor in self.actors if actor != before] or self.actors
        counts = Counter(self._of.values())
        self._of[stream] = min(others, key=lambda actor: counts[actor])

    @property
    def may_grow(self) -> bool:
        """Whether one more is allowed."""
        return len(self.actors) < self._config.most

    @property
    def may_shrink(self) -> bool:
        """Whether one fewer is allowed."""
        return len(self.actors) > self._config.least


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
        self.capture: Any = ray.remote(max_concurrency=readers, **kept)(Capture).remote(
            dict(sources), folder.absolute(), queued_s=config.queued_s
        )
        self.output: Any = ray.remote(**kept)(Output).remote(
            folder.absolute(), out and out.absolute(), named=len(sources) > 1
        )
        self.features = Pool(ray, FeatureActor, config.features, config, choice, config.batch)
        self.recognizers = Pool(ray, RecognizerActor, config.recognizers, config, choice, config.batch)

    async def start(self) -> None:
        """Every actor ready. Raises OverloadedError."""
        await asyncio.gather(self.features.start(), self.recognizers.start())

    def read(self, stream: str, number: int) -> tuple[Ref, Ref]:
        """session.Stages.read."""
        samples, caught = self.capture.read.options(num_returns=2).remote(stream, number)
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

    async def get(self, ref: Ref, *, patient: bool = False) -> Any:
        """session.Stages.get."""
        errors = self._ray.exceptions
        try:
            return await asyncio.wait_for(_value(ref), None if patient else self._config.patience_s)
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
        found: Written = await self.get(self.output.written.remote(stream))
        return found

    async def write(self, finals: Sequence[Final]) -> None:
        """session.Stages.write."""
        await self.get(self.output.write.remote(list(finals)))

    async def end(self, stream: str) -> None:
        """session.Stages.end."""
        await self.get(self.output.end.remote(stream))

    def forget(self, stream: str, before: int) -> None:
        """session.Stages.forget."""
        self.capture.forget.remote(stream, before)

    def moved(self, stream: str) -> None:
        """session.Stages.moved."""
        self.features.move(stream)
        self.recognizers.move(stream)

    def stop(self) -> None:
        """Sources end; sessions say their last words."""
        self.capture.stop.remote()

    def close(self) -> None:
        """End all actors."""
        for actor in [self.capture, self.output, *self.features.actors, *self.recognizers.actors]:
            self._ray.kill(actor)


async def _value(ref: Any) -> Any:
    return await ref
