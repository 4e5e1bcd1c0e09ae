"""Ray for one command: started here for it, or a cluster joined."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from asr.errors import OverloadedError

SURROUNDINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_worker_niceness": "0",  # Ray's own is 15: on a busy machine its workers would never get to speak
}


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
        try:
            ray.init(address="local", num_cpus=max(os.cpu_count() or 1, cpus), include_dashboard=False, **quiet)
        except Exception as error:  # Ray has no class of its own for it
            if "timed out" not in str(error):
                raise
            raise OverloadedError("Ray", "did not start in 30 s; is this machine too busy? Try again") from error
        return True
    try:
        ray.init(address=address, **quiet)
    except ConnectionError as error:
        raise OverloadedError("--address", f"no Ray cluster answers at {address}: {error}") from error
    return True


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


def placed(model: str) -> str:
    """A model's folder as workers, who stand in other folders, find it; a name stays a name."""
    return str(Path(model).absolute()) if Path(model).is_dir() else model
