"""What the pool makes of a worker's answers, without Ray."""

from types import SimpleNamespace
from typing import Any

from pipelines.batch.pool import Failed, Pool


class TaskError(Exception):
    """As Ray wraps what a worker raised."""

    cause = ZeroDivisionError("division by zero")


class OtherError(Exception):
    """Any of Ray's that are not raised here."""


def raise_error(_: Any) -> None:
    raise TaskError


def test_an_error_that_nobody_foresaw_is_told_with_its_recording_and_kind_and_the_worker_works_on() -> None:
    others = dict.fromkeys(("RayActorError", "OutOfMemoryError", "NodeDiedError"), OtherError)
    pool = Pool.__new__(Pool)
    pool._ray = SimpleNamespace(get=raise_error, exceptions=SimpleNamespace(RayTaskError=TaskError, **others))
    pool._idle = []
    assert pool._outcome("ref", "worker", "a.wav") == Failed("internal", "a.wav: ZeroDivisionError: division by zero")
    assert pool._idle == ["worker"]
