"""Test sets over the pool of the folder batch: a worker that dies costs a recording at most, and says which."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from asr.evaluation.answers import Answer
from asr.evaluation.datasets.reference import Problem, Reference
from asr.evaluation.transcribing import answer_reference
from pipelines.batch.pool import Failed, Holder, PoolConfig, in_order
from pipelines.ray_connection import placed

if TYPE_CHECKING:
    from pipelines.recognise_references import EngineChoice


@dataclass(frozen=True, eq=False)
class Question:
    """A reference of a set. Two of the same content are two."""

    dataset: str
    reference: Reference

    @property
    def name(self) -> str:
        """For messages."""
        return self.reference.id


class Examiner(Holder):
    """Answers references."""

    def transcribe(self, question: Question) -> Answer | Problem:
        """asr.evaluation.transcribing.answer_reference, in another process."""
        return answer_reference(self.recognizer, question.dataset, question.reference)


def answer_on_ray(
    jobs: Sequence[tuple[str, Reference]], engine: "EngineChoice", *, workers: int, address: str | None
) -> Iterator[Answer | Problem]:
    """An answer or a problem for each (set, reference), in order. Raises OverloadedError, CheckpointError."""
    config = PoolConfig(workers, placed(engine.model), engine.device, engine.precision, engine.decoding, address)
    questions = [Question(dataset, _placed(reference)) for dataset, reference in jobs]
    for question, outcome in in_order(questions, config, Examiner):
        yield Problem("failed", question.name, outcome.message) if isinstance(outcome, Failed) else outcome


def _placed(reference: Reference) -> Reference:
    """With its recording as workers in other folders find it."""
    audio = reference.audio
    return reference if audio is None or isinstance(audio, bytes) else replace(reference, audio=audio.absolute())
