"""What runs in the actors' processes: the plain stages, with batching and figures around them."""

import asyncio
import os
import warnings
from collections.abc import Sequence
from typing import Any

from asr.hearing import Heard, Hearing, HearingState, Samples
from asr.live import Reading, ReadingState
from pipelines.live_graph.batching import Batcher
from pipelines.live_graph.config import BatchConfig, ModelChoice
from pipelines.live_graph.figures import Figures
from pipelines.live_graph.stages import Features, Reader

warnings.filterwarnings(
    "ignore", "The given NumPy array is not writable"
)  # what Ray hands over is read only; so are we


class _Watched:
    """What a pool asks of every actor."""

    _step: Batcher[Any, Any]

    async def ready(self) -> int:
        """The process's number, once it can work."""
        await self._step.rest()
        return os.getpid()

    async def stay(self) -> None:
        """Until this process ends: who waits for it knows at once."""
        await asyncio.Event().wait()


class FeatureActor(_Watched):
    """Any stream's next chunk; keeps nothing of it."""

    _step: Batcher[tuple[HearingState, Samples], Hearing]

    def __init__(self, choice: ModelChoice, batch: BatchConfig) -> None:
        self._features = Features(choice)
        self._step = Batcher(self._features.step_many, batch, Figures("features").observe)

    async def step(self, state: HearingState, samples: Samples) -> Hearing:
        """One stream's samples; batched with those of others."""
        return await self._step((state, samples))

    async def finish(self, state: HearingState) -> list[Heard]:
        """The stream has ended."""
        return self._features.finish(state)


class RecognizerActor(_Watched):
    """Holds the weights. A stream's state arrives and leaves with every call."""

    _step: Batcher[tuple[ReadingState, Sequence[Heard]], Reading]

    def __init__(self, choice: ModelChoice, batch: BatchConfig) -> None:
        self._step = Batcher(Reader(choice).step_many, batch, Figures("recognizer").observe)

    async def step(self, state: ReadingState, heard: Sequence[Heard]) -> Reading:
        """What was heard of one stream; batched with those of others."""
        return await self._step((state, heard))
