"""One stream from its first chunk to its last word: owns the states as values, and does again what was lost. No Ray.

Steps are pure, so a step that was lost is simply done again: from the last chunk on whose words were passed on, or from
the checkpoint before it, with the sound that capture still keeps. What was already shown or written is known by its
number and does not come twice.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from asr.audio.reader import SAMPLE_RATE
from asr.errors import AsrError
from asr.events import Event, Failure, Final, Partial
from pipelines.live_graph import checkpoint
from pipelines.live_graph.capture import Caught
from pipelines.live_graph.checkpoint import Checkpoint
from pipelines.live_graph.config import CHUNK, GraphConfig
from pipelines.live_graph.output import Written

Ref = Any  # of a value that may not be there yet, or the value itself


class LostError(Exception):
    """A step's result is gone and Ray's own retries are used up; the same step may be done again elsewhere."""


class Stages(Protocol):
    """What a session calls. All but `get` and those after it return at once."""

    def read(self, stream: str, number: int) -> tuple[Ref, Ref]:
        """A chunk's samples, and what was caught with them."""
        ...

    def hear(self, stream: str, hearing: Ref, samples: Ref) -> tuple[Ref, Ref]:
        """The first half's next state, and what was heard."""
        ...

    def finish(self, stream: str, hearing: Ref) -> Ref:
        """What is heard at the stream's end."""
        ...

    def say(self, stream: str, reading: Ref, heard: Ref) -> tuple[Ref, Ref]:
        """The second half's next state, and events."""
        ...

    async def get(self, stream: str, ref: Ref, *, patient: bool = False) -> Any:
        """A step's value when it is there; `patient`: however late. Raises LostError and the stages' AsrErrors."""
        ...

    async def written(self, stream: str) -> Written:
        """How far the stream's words are on the disk."""
        ...

    async def write(self, finals: Sequence[Final]) -> str:
        """Put finals on the disk, each once; what a person should know of that, or ""."""
        ...

    async def end(self, stream: str) -> None:
        """Note that the stream has ended."""
        ...

    def forget(self, stream: str, before: int) -> None:
        """Samples before this are not needed any more."""
        ...

    def rest(self, stream: str) -> None:
        """Nothing of this stream is under way: others may do its steps from now on."""
        ...

    def moved(self, stream: str) -> None:
        """Something was lost: let others do this stream's steps."""
        ...


class Viewer(Protocol):
    """Who wants to see the words."""

    def show(self, events: list[Event]) -> None:
        """Events of one stream, in order."""
        ...

    def notice(self, message: str) -> None:
        """Something that a person should know."""
        ...


@dataclass(frozen=True)
class _UnderWay:
    """A chunk's refs along the chain."""

    number: int
    caught: Ref
    hearing: Ref
    reading: Ref
    events: Ref


class Session:
    """A stream. `folder` takes its snapshots; `lag_s` says how late its words come."""

    def __init__(self, stream: str, stages: Stages, viewer: Viewer, config: GraphConfig, folder: Path) -> None:
        self.stream, self._stages, self._viewer, self._config = stream, stages, viewer, config
        self._folder = folder
        self._checkpoint = checkpoint.load(stream, folder)
        self._saved = self._checkpoint.number
        self._last, self._seq = -1, 0  # the last utterance that is written; the next event to show
        self._acknowledged: _UnderWay | None = None  # the last chunk after the checkpoint whose words were passed on
        self._reached, self._losses, self._whole = 0, 0, True
        self._lag_s, self._caught_up, self.chunks = 0.0, True, 0
        self.lags: Callable[[float], None] = lambda _: None

    @property
    def lag_s(self) -> float:
        """From the last chunk's sound to its words; 0 while none are missing, as of a stream that waits or ended."""
        return 0.0 if self._caught_up else self._lag_s

    async def run(self) -> bool:
        """Hear the stream to its end. False: it ended with an error or was not written whole, which was shown."""
        try:
            written = await self._stages.written(self.stream)
            self._last = written.last
            if written.ended:
                self._viewer.notice(f"{self.stream}: has ended before; all of it is written")
                return True
            while not await self._heard_to_the_end():
                pass
        except AsrError as error:
            return self._fail(error.code, str(error))
        finally:
            self._caught_up = True
        return self._whole

    async def _heard_to_the_end(self) -> bool:
        """False: something was lost on the way, and it goes on from what is left."""
        try:
            error = await self._listen()
        except LostError as loss:
            await self._recover(loss)
            return False
        if error is not None:
            raise error
        return True

    async def _recover(self, loss: LostError) -> None:
        """Get ready to go on. Raises AsrError where worker after worker is lost at the same chunk.

        A chunk that kills its worker takes others' with it, so who loses again and again without getting further waits
        for a while by chance: one that is alone for a moment gets further, and only the one at fault does not.
        """
        self._stages.moved(self.stream)
        await self._take_up()
        self._losses = 1 if self._checkpoint.number > self._reached else self._losses + 1
        self._reached = self._checkpoint.number
        if self._losses > self._config.replays:
            raise AsrError(self.stream, f"{self._losses} workers in a row were lost at this place: {loss}") from loss
        if self._losses > 2:
            await asyncio.sleep(random.uniform(0.0, min(8.0, 0.25 * 2**self._losses)))

    async def _take_up(self) -> None:
        """The state after the last chunk whose words were passed on becomes the checkpoint, where it is still there."""
        step, self._acknowledged = self._acknowledged, None
        if step is None:
            return
        try:
            hearing = await self._stages.get(self.stream, step.hearing)
            self._checkpoint = Checkpoint(step.number + 1, hearing, await self._stages.get(self.stream, step.reading))
        except LostError:
            self._stages.moved(self.stream)

    async def _listen(self) -> AsrError | None:
        """From the checkpoint on; what ended the source, if it was an error."""
        while True:
            done = await self._stretch(self._checkpoint)
            if isinstance(done, Checkpoint):
                self._checkpoint, self._acknowledged = done, None
                self._save()
                continue
            caught, last = done
            _, events = self._stages.say(self.stream, last.reading, self._stages.finish(self.stream, last.hearing))
            await self._deliver(await self._stages.get(self.stream, events))
            if caught.error is None:
                await self._stages.end(self.stream)
            return caught.error

    async def _stretch(self, begin: Checkpoint) -> Checkpoint | tuple[Caught, _UnderWay]:
        """The chunks up to the next checkpoint, several under way at once, or up to the stream's end."""
        self._stages.rest(self.stream)
        hearing, reading = begin.hearing, begin.reading  # refs from the first step on
        number, stop = begin.number, begin.number + self._config.checkpoint
        under_way: deque[_UnderWay] = deque()
        while number < stop or under_way:
            while number < stop and len(under_way) < self._config.depth:
                samples, caught_ref = self._stages.read(self.stream, number)
                hearing, heard = self._stages.hear(self.stream, hearing, samples)
                reading, events = self._stages.say(self.stream, reading, heard)
                under_way.append(_UnderWay(number, caught_ref, hearing, reading, events))
                number += 1
            step = under_way.popleft()
            caught = await self._acknowledge(step)
            if caught.ended:
                return caught, step
            self._acknowledged = step
        return Checkpoint(
            number, await self._stages.get(self.stream, hearing), await self._stages.get(self.stream, reading)
        )

    async def _acknowledge(self, step: _UnderWay) -> Caught:
        """Wait for a chunk's events and pass them on."""
        self._caught_up = True  # until sound is there: where words come late, the next chunk has long come
        caught: Caught = await self._stages.get(self.stream, step.caught, patient=True)
        self._caught_up = False
        for notice in caught.notices:
            self._viewer.notice(f"{self.stream}: {notice}")
        await self._deliver(await self._stages.get(self.stream, step.events))
        self._lag_s, self.chunks = time.monotonic() - caught.at, self.chunks + 1
        self.lags(self._lag_s)
        return caught

    async def _deliver(self, events: list[Event]) -> None:
        """Finals are written before anybody sees them. What has been delivered is left out."""
        fresh = [event for event in events if self._is_fresh(event)]
        finals = [event for event in fresh if isinstance(event, Final)]
        if finals:
            said = await self._stages.write(finals)
            if said and self._whole:
                self._whole = False
                self._viewer.notice(said)
            self._last = finals[-1].utterance
        if fresh:
            self._seq = max(self._seq, fresh[-1].seq + 1)
            self._viewer.show(fresh)

    def _is_fresh(self, event: Event) -> bool:
        if isinstance(event, Final):
            return event.utterance > self._last
        return isinstance(event, Partial) and event.utterance > self._last and event.seq >= self._seq

    def _save(self) -> None:
        """To disk now and then; older sound is not needed any more."""
        if (self._checkpoint.number - self._saved) * CHUNK >= self._config.snapshot_s * SAMPLE_RATE:
            checkpoint.save(self._checkpoint, self._folder)
            self._saved = self._checkpoint.number
            self._stages.forget(self.stream, self._saved * CHUNK)

    def _fail(self, code: str, message: str) -> bool:
        self._viewer.show([Failure(self.stream, self._seq, code, message)])
        return False
