"""Ray for one command: started here for it, or a cluster joined."""

import io
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, TextIO

from asr.errors import AsrError, OverloadedError

SURROUNDINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",  # of results that nobody waits for any more: their stream has gone on
    "RAY_timeout_ms_task_wait_for_death_info": "50",  # Ray's own 1000 would keep a stream waiting whose worker died
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_worker_niceness": "0",  # Ray's own is 15: on a busy machine its workers would never get to speak
    "RAY_max_direct_call_object_size": "2000000",  # bytes: a stream's state travels with the call, not by the store
}

_ATTEMPTS = 3  # Ray gives itself 30 s to start, which a busy machine may not


def connect(address: str | None, *, cpus: int = 1) -> bool:
    """Start Ray here with at least so many CPUs, or join the cluster at `address`; False where it was there already.

    Raises OverloadedError.
    """
    for name, value in SURROUNDINGS.items():
        os.environ.setdefault(name, value)
    import ray

    if ray.is_initialized():
        return False
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if not address:
        _start(ray, num_cpus=max(os.cpu_count() or 1, cpus), include_dashboard=False, **quiet)
        return True
    try:
        ray.init(address=address, **quiet)
    except ConnectionError as error:
        raise OverloadedError("--address", f"no Ray cluster answers at {address}: {error}") from error
    return True


def _start(ray: Any, **options: Any) -> None:
    for attempt in range(_ATTEMPTS):
        try:
            ray.init(address="local", **options)
            return
        except Exception as error:  # Ray has no class of its own for it
            if "timed out" not in str(error):
                raise
            if attempt == _ATTEMPTS - 1:
                raise OverloadedError("Ray", "did not start in 30 s; is this machine too busy? Try again") from error


@contextmanager
def connected(address: str | None, *, cpus: int = 1) -> Iterator[Any]:
    """The module `ray`, connected; what was started here ends with the block."""
    ours = connect(address, cpus=cpus)
    import ray

    try:
        yield ray
    finally:
        if ours:
            ray.shutdown()


def own_error(error: BaseException) -> AsrError | None:
    """The error of ours in a chain of causes, if there is one."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, AsrError):
        found = getattr(found, "cause", None) or found.__cause__
    return found


def placed(model: str) -> str:
    """A model's folder as workers, who stand in other folders, find it; a name stays a name."""
    return str(Path(model).absolute()) if Path(model).is_dir() else model


@contextmanager
def data_only_on_stdout() -> Iterator[None]:
    """Ray's threads print the deaths of workers on stdout; in this block that goes to stderr, the main thread's not."""
    with redirect_stdout(_ByThread(sys.stdout)):
        yield


class _ByThread(io.TextIOBase):
    """The main thread's text to `main`, all other text to stderr."""

    def __init__(self, main: TextIO) -> None:
        self._main = main

    @property
    def _sink(self) -> TextIO:
        return self._main if threading.current_thread() is threading.main_thread() else sys.stderr

    def write(self, text: str) -> int:
        """As every text file does."""
        return self._sink.write(text)

    def flush(self) -> None:
        """As every text file does."""
        self._sink.flush()

    def isatty(self) -> bool:
        """Whether the main thread's is a terminal."""
        return self._main.isatty()
