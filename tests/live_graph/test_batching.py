import asyncio
from collections.abc import Sequence

import pytest

from pipelines.live_graph.batching import Batcher
from pipelines.live_graph.config import BatchConfig


def test_each_call_gets_its_own_result_and_batches_keep_their_bound() -> None:
    sizes: list[int] = []

    def double(items: Sequence[int]) -> list[int]:
        sizes.append(len(items))
        return [2 * item for item in items]

    async def ask() -> list[int]:
        batcher = Batcher(double, BatchConfig(most=4, wait_s=0.001, queued=8))
        return await asyncio.gather(*(batcher(number) for number in range(50)))

    assert asyncio.run(ask()) == [2 * number for number in range(50)]
    assert max(sizes) == 4
    assert sum(sizes) == 50


def test_only_the_call_at_fault_gets_the_error() -> None:
    def refuse_three(items: Sequence[int]) -> list[int]:
        if 3 in items:
            raise ValueError("three")
        return list(items)

    async def ask() -> list[int | BaseException]:
        batcher = Batcher(refuse_three, BatchConfig())
        return await asyncio.gather(*(batcher(number) for number in range(6)), return_exceptions=True)

    found = asyncio.run(ask())
    assert isinstance(found.pop(3), ValueError)
    assert found == [0, 1, 2, 4, 5]


def test_no_more_calls_than_the_bound_wait_inside() -> None:
    waiting: list[int] = []

    async def ask() -> None:
        batcher = Batcher(lambda items: list(items), BatchConfig(most=2, queued=5), lambda now, *_: waiting.append(now))
        await asyncio.gather(*(batcher(number) for number in range(40)))

    asyncio.run(ask())
    assert max(waiting) <= 5


def test_a_caller_that_gives_up_does_not_stop_the_others() -> None:
    async def ask() -> list[int]:
        batcher = Batcher(lambda items: [item + 1 for item in items], BatchConfig(most=8, wait_s=0.01))
        tasks = [asyncio.create_task(batcher(number)) for number in range(4)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[1]
        return [await task for number, task in enumerate(tasks) if number != 1]

    assert asyncio.run(ask()) == [1, 3, 4]
