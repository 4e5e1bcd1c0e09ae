"""What Prometheus may ask: waiting steps, batch sizes, seconds of work, lag of streams. Ray's metrics carry them."""

from typing import Any


class Figures:
    """Of one kind of actor. Ray adds labels for the node, the process and the actor."""

    def __init__(self, stage: str) -> None:
        from ray.util.metrics import Gauge, Histogram

        tags: dict[str, Any] = {"tag_keys": ("stage",)}
        self._all: list[Any] = [
            Gauge("asr_waiting_steps", "steps of streams that wait in an actor", **tags),
            Histogram("asr_batch_size", "steps done together", boundaries=[1, 2, 4, 8, 16, 32, 64, 128], **tags),
            Histogram("asr_step_seconds", "work on one batch", boundaries=_SECONDS, **tags),
        ]
        for metric in self._all:
            metric.set_default_tags({"stage": stage})

    def observe(self, waiting: int, size: int, seconds: float) -> None:
        """One batch has been done."""
        gauge, sizes, times = self._all
        gauge.set(waiting)
        sizes.observe(size)
        times.observe(seconds)


class StreamFigures:
    """Of the program that hears the streams."""

    def __init__(self) -> None:
        from ray.util.metrics import Counter, Gauge, Histogram

        self._lag = Histogram("asr_lag_seconds", "from a chunk's sound to its words", boundaries=_SECONDS)
        self._audio = Counter("asr_audio_seconds_total", "sound heard")
        self._streams = Gauge("asr_open_streams", "streams being heard")

    def chunk(self, _stream: str, lag_s: float, audio_s: float) -> None:
        """One chunk's words are there. The stream is no label: there may be any number of them."""
        self._lag.observe(lag_s)
        self._audio.inc(audio_s)

    def streams(self, count: int) -> None:
        """So many are open."""
        self._streams.set(count)


_SECONDS = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10]
