"""Actors of one kind on Ray: hired and dismissed, watched, and which of them does which stream's steps."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from typing import Any

from asr.errors import OverloadedError
from pipelines.live_graph.config import ActorConfig, GraphConfig

_START_S = 180.0  # that the first actors may take


class Pool:
    """A stream's steps go to one actor, batched with others'; any other can take them on.

    Ray would do the steps of a dead actor again, but only once that has started anew, which takes seconds. So each
    actor is watched: where it dies and another is well, `lost` is called with each of its streams, whose sessions then
    go on with the other. The only one is waited for.
    """

    def __init__(
        self,
        ray: Any,
        kind: type,
        config: ActorConfig,
        graph: GraphConfig,
        lost: Callable[[str], None],
        *arguments: Any,
    ) -> None:
        """`arguments`: of each actor."""
        self._ray, self._config, self._lost, self._arguments = ray, config, lost, arguments
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
        self._down: set[Any] = set()
        self._unsettled: set[str] = set()
        self._watching: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """The least number of actors, ready. Raises OverloadedError where they cannot start."""
        await asyncio.gather(*(self.hire() for _ in range(self._config.least)))

    async def hire(self) -> None:
        """One more, ready."""
        actor = self._actor.remote(*self._arguments)
        try:
            await asyncio.wait_for(actor.ready.remote(), _START_S)
        except TimeoutError:
            self._ray.kill(actor)
            raise OverloadedError("--ray", f"no actor could start in {_START_S:.0f} s; is the cluster full?") from None
        except self._ray.exceptions.RayError as error:
            reason = str(error).strip().splitlines()[-1]
            raise OverloadedError("--ray", f"an actor could not start: {reason}") from error
        self.actors.append(actor)
        self._begin(self._watch(actor))
        self._unsettle()

    def dismiss(self) -> None:
        """One fewer; its streams go to others."""
        actor = self.actors.pop()
        asyncio.get_running_loop().call_later(30.0, self._ray.kill, actor)  # steps under way end before

    def of(self, stream: str) -> Any:
        """Who does this stream's steps: who had the last, if it is well; else who has the fewest streams."""
        well = self._well or self.actors
        if self._of.get(stream) not in well:
            counts = Counter(self._of.values())
            self._of[stream] = min(well, key=lambda actor: counts[actor])
        return self._of[stream]

    def rest(self, stream: str) -> None:
        """Nothing of this stream is under way: others may do its steps from now on, if there is cause."""
        if stream in self._unsettled:
            self._unsettled.remove(stream)
            self._of.pop(stream, None)

    def suspect(self, stream: str) -> None:
        """A step of this stream was lost, perhaps here: until its actor answers, others do what it did."""
        actor = self._of.pop(stream, None)
        if actor is not None and actor not in self._down:
            self._down.add(actor)
            self._begin(self._back(actor))

    async def _watch(self, actor: Any) -> None:
        while actor in self.actors:
            with contextlib.suppress(self._ray.exceptions.RayError):
                await actor.stay.options(max_task_retries=0).remote()
            self._down.add(actor)
            self._rescue()
            if not await self._back(actor):
                return

    async def _back(self, actor: Any) -> bool:
        """Wait until it answers; False, and it stays out: it is gone for good."""
        try:
            await actor.ready.remote()
        except self._ray.exceptions.RayError:
            return False
        self._down.discard(actor)
        self._rescue()
        self._unsettle()
        return True

    def _unsettle(self) -> None:
        """Who came gets its share, as soon as a stream rests: what is under way stays where a death is noticed."""
        self._unsettled = set(self._of)

    def _rescue(self) -> None:
        """Streams whose actor is down go to one that is well, where there is one."""
        for stream, actor in list(self._of.items()) if self._well else ():
            if actor in self._down:
                del self._of[stream]
                self._lost(stream)

    @property
    def _well(self) -> list[Any]:
        return [actor for actor in self.actors if actor not in self._down]

    def _begin(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._watching.add(task)
        task.add_done_callback(self._watching.discard)

    @property
    def may_grow(self) -> bool:
        """Whether one more is allowed."""
        return len(self.actors) < self._config.most

    @property
    def may_shrink(self) -> bool:
        """Whether one fewer is allowed."""
        return len(self.actors) > self._config.least
