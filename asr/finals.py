"""Pass two in the making: utterances recognised in other threads, begun before their end is sure, fetched when it is.

What was begun is known by its samples and its place, not by its stream. A step that is made again, or a state that
moved to another process, gets the same utterance; where it was not begun it only comes later.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future

from asr.cutting import Cut
from asr.decoding.words import Utterance

MOST_BEGUN = 256  # kept; of those begun in vain, because speech went on, the oldest go first

Recognise = Callable[[Sequence[Cut], bool], list[Utterance]]  # whether nothing else is at work, so that it may hurry
_Place = tuple[Future[list[Utterance]], int]


class Finals:
    """Utterances of cuts, each recognised once however often it is asked for before it is fetched. Threads share it."""

    def __init__(self, recognise: Recognise, pool: Executor, *, together: bool) -> None:
        """`together`: cuts that come together are one piece of work (for a GPU), not one each."""
        self._recognise, self._pool, self._together = recognise, pool, together
        self._begun: OrderedDict[bytes, _Place] = OrderedDict()
        self._lock = threading.Lock()
        self._running = 0

    def begin(self, cuts: Sequence[Cut]) -> None:
        """Start on those that are not begun; returns at once."""
        names = [_name(cut) for cut in cuts]
        with self._lock:
            self._find(cuts, names)

    def fetch(self, cuts: Sequence[Cut]) -> list[Utterance]:
        """Wait for each. What was begun is forgotten: asked again, it would be recognised again, to the same words."""
        names = [_name(cut) for cut in cuts]
        with self._lock:
            places = self._find(cuts, names)
            for name in names:
                self._begun.pop(name, None)
        return [future.result()[i] for future, i in places]

    def _find(self, cuts: Sequence[Cut], names: Sequence[bytes]) -> list[_Place]:
        named = dict(zip(names, cuts, strict=True))
        missing = [name for name in named if name not in self._begun]
        for group in [missing] if self._together and missing else [[name] for name in missing]:
            future = self._pool.submit(self._run, [named[name] for name in group])
            self._begun.update({name: (future, i) for i, name in enumerate(group)})
        found = [self._begun[name] for name in names]
        for name in named:
            self._begun.move_to_end(name)
        while len(self._begun) > max(MOST_BEGUN, len(named)):
            future, _ = self._begun.popitem(last=False)[1]
            if not self._together:  # else it may be somebody else's too
                future.cancel()
        return found

    def _run(self, cuts: Sequence[Cut]) -> list[Utterance]:
        with self._lock:
            self._running += 1
            alone = self._running == 1
        try:
            return self._recognise(cuts, alone)
        finally:
            with self._lock:
                self._running -= 1


def _name(cut: Cut) -> bytes:
    place = f"{cut.span.start} {cut.span.end} ".encode()
    return hashlib.blake2b(place + cut.samples.tobytes(), digest_size=16).digest()
