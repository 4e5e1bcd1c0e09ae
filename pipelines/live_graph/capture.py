"""Sound as it comes, many sources at once: what an actor at the microphone, the file or the socket does. Plain, no Ray.

Each source has a thread that writes to kept audio, the bounded queue between capture and the rest. Chunk n of a stream
is the same samples whenever it is asked for, also after this process has died and another has opened the same folder.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from asr.audio.microphone import Notice, Samples
from asr.audio.reader import SAMPLE_RATE
from asr.errors import AsrError, AudioError
from pipelines.live_graph.config import CHUNK
from pipelines.live_graph.kept_audio import KeptAudio
from pipelines.live_graph.sources import Source

_LOST = " s of sound were dropped: recognition is slower than speech here"


@dataclass(frozen=True)
class Caught:
    """Of one chunk, besides its samples. `at`: when it was complete, by this machine's monotonic clock."""

    samples: int
    ended: bool
    at: float
    notices: tuple[str, ...] = ()
    error: AsrError | None = None  # why the source gives no more


class Capture:
    """All sources of one machine. `read` may be called from many threads."""

    def __init__(self, sources: Mapping[str, Source], folder: Path, *, queued_s: float) -> None:
        self._streams = {name: _Stream(source, folder / name, queued_s) for name, source in sources.items()}

    def read(self, stream: str, number: int, turn: int = 0) -> tuple[Samples, Caught]:
        """Chunk `number` of a stream, when it has come: (CHUNK,) float32, fewer at the end.

        Asking for a chunk says that there is room for the sound `queued_s` behind it. Who asks again in a later `turn`
        for one that has not come has given the first answer up: that read ends with nothing and frees its thread.
        """
        return self._streams[stream].read(number, turn)

    def forget(self, stream: str, before: int) -> None:
        """Samples before this will not be asked for again."""
        self._streams[stream].forget(before)

    def stop(self) -> None:
        """End every stream with what it has had."""
        for stream in self._streams.values():
            stream.stop()


class _Stream:
    """One source, its thread and its kept audio."""

    def __init__(self, source: Source, folder: Path, queued_s: float) -> None:
        self._source, self.kept = source, KeptAudio(folder)
        self._room = int(queued_s * SAMPLE_RATE)
        self._changed = threading.Condition()
        self._wanted = self.kept.length  # samples: as far as somebody has asked, or as what is new here begins
        self._turns: dict[int, int] = {}  # chunk -> the latest turn of those who wait for it
        self._error: AsrError | None = None
        self._notices: list[str] = []
        self._ended = self.kept.ended
        self._marks: dict[int, float] = {}  # chunk -> when it was complete
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def read(self, number: int, turn: int) -> tuple[Samples, Caught]:
        first, last = number * CHUNK, (number + 1) * CHUNK
        with self._changed:
            if not self._waited_for(number, turn):
                return self.kept.read(first, first), Caught(0, ended=False, at=time.monotonic())
            samples = self.kept.read(first, last)
            notices, self._notices = tuple(self._notices), []
            ended = self._ended and last >= self.kept.length
            at = self._marks.pop(number, time.monotonic())
        return samples, Caught(len(samples), ended, at, notices, self._error if ended else None)

    def _waited_for(self, number: int, turn: int) -> bool:
        """Wait until the chunk is there; False: it is asked for again, in a later turn.

        Not whoever comes later: where a capture has died, Ray asks its successor in any order.
        """
        last = (number + 1) * CHUNK
        self._wanted = max(self._wanted, last)
        self._turns[number] = max(turn, self._turns.get(number, turn))
        self._changed.notify_all()
        self._changed.wait_for(lambda: self.kept.length >= last or self._ended or self._turns.get(number, 0) > turn)
        if self._turns.get(number, 0) > turn:
            return False
        self._turns.pop(number, None)
        return True

    def forget(self, before: int) -> None:
        with self._changed:
            self.kept.forget(before)

    def stop(self) -> None:
        self._end(None)

    def _end(self, error: AsrError | None) -> None:
        with self._changed:
            self._ended, self._error = True, error
            if error is None:
                self.kept.end()
            self._changed.notify_all()

    def _run(self) -> None:
        if self._ended:
            return
        try:
            for part in self._source.open(self.kept.length):
                if isinstance(part, Notice):
                    self._say(part.message)
                elif not self._keep(part):
                    return
            self._end(None)
        except AsrError as error:
            self._end(error)
        except Exception as error:  # whatever it is: were the thread to die of it, its readers would wait for ever
            self._end(AudioError(self._source.where, f"gives no more sound: {type(error).__name__}: {error}"))

    def _say(self, message: str) -> None:
        with self._changed:
            self._notices.append(message)

    def _keep(self, samples: Samples) -> bool:
        """Into the queue when there is room; a source that cannot wait loses it, and that is said. False: stop."""
        with self._changed:
            if self._source.waits:
                self._changed.wait_for(lambda: self._ended or self.kept.length - self._wanted < self._room)
            elif self.kept.length - self._wanted >= self._room:
                self._lost(len(samples))
                return not self._ended
            if self._ended:
                return False
            self.kept.append(samples)
            now = time.monotonic()
            for number in range((self.kept.length - len(samples)) // CHUNK, self.kept.length // CHUNK):
                self._marks[number] = now
            self._changed.notify_all()
        return True

    def _lost(self, samples: int) -> None:
        seconds = samples / SAMPLE_RATE
        if self._notices and self._notices[-1].endswith(_LOST):
            seconds += float(self._notices.pop().split()[0])
        self._notices.append(f"{seconds:.2f}{_LOST}")
