"""Calls of many streams done together: one batch at a time, a bounded wait for company, a bounded queue. No Ray."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

from pipelines.live_graph.config import BatchConfig

Item = TypeVar("Item")
Result = TypeVar("Result")
Observe = Callable[[int, int, float], None]  # waiting, batch size, seconds of work


class Batcher(Generic[Item, Result]):
    """`work` on as many calls as wait, in a thread of its own; each call gets what it gets alone.

    The caller beyond `queued` waits until there is room. If a batch fails, its items are done one by one, so that only
    the one at fault gets the error.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Sequence[Result]],
        config: BatchConfig,
        observe: Observe = lambda *_: None,
    ) -> None:
        self._work, self._config, self._observe = work, config, observe
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._room = asyncio.Semaphore(config.queued)
        self._running: asyncio.Task[None] | None = None
        self._lately = 1  # items of the last batch: how much company to expect
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batch")

    async def __call__(self, item: Item) -> Result:
        """The result of one item."""
        async with self._room:
            future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
            self._waiting.append((item, future))
            if self._running is None or self._running.done():
                self._running = asyncio.create_task(self._run())
            return await future

    async def rest(self) -> None:
        """Come back once the thread has done what it does now: never, where that hangs."""
        await asyncio.get_running_loop().run_in_executor(self._thread, int)

    async def _run(self) -> None:
        while self._waiting:
            if len(self._waiting) < min(self._config.most, self._lately):
                await asyncio.sleep(self._config.wait_s)
            batch = [self._waiting.popleft() for _ in range(min(self._config.most, len(self._waiting)))]
            self._lately = len(batch)
            began = time.perf_counter()
            done = await asyncio.get_running_loop().run_in_executor(self._thread, self._results, [x for x, _ in batch])
            self._observe(len(self._waiting), len(batch), time.perf_counter() - began)
            for (_, future), result in zip(batch, done, strict=True):
                if future.cancelled():
                    continue
                if isinstance(result, BaseException):
                    future.set_exception(result)
                else:
                    future.set_result(result)

    def _results(self, items: list[Item]) -> list[Any]:
        """A result or an exception for each."""
        try:
            return list(self._work(items))
        except Exception as error:
            if len(items) == 1:
                return [error]
            return [result for item in items for result in self._results([item])]
