"""Which actor does a stream's steps while actors die, come back and hang. Ray is played by this process."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

from pipelines.live_graph.config import ActorConfig, GraphConfig
from pipelines.live_graph.pool import Pool


class DeadError(Exception):
    pass


class Actor:
    """Dies and comes back when it is told to."""

    def __init__(self) -> None:
        self.death, self.well = asyncio.Event(), asyncio.Event()
        self.well.set()
        self.ready = SimpleNamespace(remote=self._ready)
        self.gone = False
        self.stay = SimpleNamespace(options=lambda **_: SimpleNamespace(remote=self._stay))

    async def _ready(self) -> None:
        await self.well.wait()
        if self.gone:
            raise DeadError

    async def _stay(self) -> None:
        await self.well.wait()
        await self.death.wait()
        raise DeadError

    async def die(self) -> None:
        self.well.clear()
        self.death.set()
        await settle()

    async def come_back(self) -> None:
        self.death.clear()
        self.well.set()
        await settle()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def law(least: int, check: Callable[[Pool, list[Actor], list[str]], Awaitable[None]]) -> None:
    """`check` with a pool, its actors, and the streams that were told of a loss."""

    async def run() -> None:
        actors, lost = [Actor() for _ in range(least + 1)], list[str]()
        hired = iter(actors)
        made: Any = SimpleNamespace(remote=lambda: next(hired))
        ray = SimpleNamespace(
            remote=lambda **_: lambda _kind: made, exceptions=SimpleNamespace(RayError=DeadError), kill=print
        )
        pool = Pool(ray, object, ActorConfig(least=least, most=least), GraphConfig(), lost.append)
        await pool.start()
        await settle()
        await check(pool, actors[:least], lost)

    asyncio.run(run())


def test_streams_are_dealt_out_evenly_and_stay_where_they_are() -> None:
    async def check(pool: Pool, actors: list[Actor], lost: list[str]) -> None:
        chosen = {name: pool.of(name) for name in "abcd"}
        assert sorted(map(id, chosen.values())) == sorted(2 * [id(actor) for actor in actors])
        assert {name: pool.of(name) for name in "abcd"} == chosen
        assert lost == []

    law(2, check)


def test_a_death_is_told_to_the_dead_actors_streams_alone_and_another_takes_them() -> None:
    async def check(pool: Pool, actors: list[Actor], lost: list[str]) -> None:
        dead = pool.of("a")
        hit = [name for name in "abcd" if pool.of(name) is dead]
        await dead.die()
        assert lost == hit
        assert all(pool.of(name) is not dead for name in "abcd")
        await dead.come_back()
        assert all(pool.of(name) is not dead for name in "abcd"), "nobody moves while steps are under way"
        for name in "abcd":
            pool.rest(name)
        assert {id(pool.of(name)) for name in "abcd"} == {id(actor) for actor in actors}, "it gets its share again"
        assert lost == hit
        await dead.die()
        assert len(lost) > len(hit), "the second death is seen as the first was"

    law(2, check)


def test_the_only_actor_is_waited_for() -> None:
    async def check(pool: Pool, actors: list[Actor], lost: list[str]) -> None:
        assert pool.of("a") is actors[0]
        await actors[0].die()
        assert pool.of("a") is actors[0]
        assert lost == []

    law(1, check)


def test_where_all_are_dead_the_first_that_is_back_takes_the_streams() -> None:
    async def check(pool: Pool, actors: list[Actor], lost: list[str]) -> None:
        first = pool.of("a")
        second = next(actor for actor in actors if actor is not first)
        await first.die()
        assert pool.of("a") is second
        await second.die()
        assert lost == ["a"]
        await first.come_back()
        assert lost == ["a", "a"]
        assert pool.of("a") is first

    law(2, check)


def test_one_that_does_not_answer_gets_no_steps_until_it_does() -> None:
    async def check(pool: Pool, _: list[Actor], lost: list[str]) -> None:
        hanging = pool.of("a")
        hanging.well.clear()
        pool.suspect("a")
        await settle()
        assert all(pool.of(name) is not hanging for name in "abc")
        hanging.well.set()
        await settle()
        for name in "abc":
            pool.rest(name)
        assert hanging in {pool.of(name) for name in "abc"}
        assert lost == []

    law(2, check)


def test_one_that_never_comes_back_is_left_out_and_asked_no_more() -> None:
    async def check(pool: Pool, _: list[Actor], lost: list[str]) -> None:
        dead = pool.of("a")
        dead.gone = True
        await dead.die()
        await dead.come_back()
        assert all(pool.of(name) is not dead for name in "abc")
        assert len(pool._watching) == 1, "the other is watched"
        assert lost == ["a"]

    law(2, check)


def test_who_is_hired_gets_a_share_of_the_streams_and_who_is_dismissed_has_none() -> None:
    async def check(pool: Pool, actors: list[Actor], lost: list[str]) -> None:
        assert {pool.of(name) for name in "abcd"} == {actors[0]}
        await pool.hire()
        for name in "abcd":
            pool.rest(name)
        assert Counter(pool.of(name) for name in "abcd") == dict.fromkeys(pool.actors, 2)
        pool.dismiss()
        assert {pool.of(name) for name in "abcd"} == {actors[0]}
        assert lost == [], "what is under way ends before the dismissed one does"

    law(1, check)
