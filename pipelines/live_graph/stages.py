"""The two stages between sound and words, each over many streams at once. Plain; actors are wrapped around them."""

from collections.abc import Sequence

from asr import hearing, live
from asr.hearing import Heard, Hearing, HearingState, Samples
from asr.live import Reading, ReadingState
from asr.segments import SegmentConfig
from pipelines.live_graph.config import ModelChoice


class Features:
    """Speech detector, cutting and feature frames: `asr.hearing` with the model's features."""

    def __init__(self, choice: ModelChoice) -> None:
        import torch

        from asr.model.bundle import read_configs
        from asr.recognizer import find_model

        torch.set_num_threads(1)
        self._segments = SegmentConfig()
        self._features, _ = read_configs(find_model(choice.model))

    def step_many(self, streams: Sequence[tuple[HearingState, Samples]]) -> list[Hearing]:
        """Samples -> what was heard."""
        return hearing.step_many(self._features, self._segments, streams)

    def finish(self, state: HearingState) -> list[Heard]:
        """The last utterance of a stream that has ended."""
        return [hearing.finish(self._segments, state)]


class Reader:
    """The network and its decoders: the second half of `asr.live`. Holds the weights, nothing of any stream."""

    def __init__(self, choice: ModelChoice) -> None:
        from asr.decoding.hotwords import parse_hotwords
        from asr.recognizer import Recognizer

        recognizer = Recognizer.load(
            choice.model,
            device=choice.device,
            precision=choice.precision,
            decoding=choice.decoding,
            hotwords=parse_hotwords(choice.hotwords),
        )
        self._setup = recognizer.live_setup(delay_ms=choice.delay_ms, partials=choice.partials)

    def step_many(self, streams: Sequence[tuple[ReadingState, Sequence[Heard]]]) -> list[Reading]:
        """What was heard -> events."""
        return live.read_many(self._setup, streams)
