"""Ray for one command: started here for it, or a cluster joined."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from asr.errors import OverloadedError

_SURROUNDINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_worker_niceness": "0",  # Ray's own is 15: on a busy machine its workers would never get to speak
}


def connect(address: str | None, *, cpus: int = 1) -> bool:
    """Start Ray here with at least so many CPUs, or join the cluster at `address`; False where it was there already."""
    for name, value in _SURROUNDINGS.items():
        os.environ.setdefault(name, value)
    import ray

    if ray.is_initialized():
        return False
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if not address:
        ray.init(num_cpus=max(os.cpu_count() or 1, cpus), include_dashboard=False, **quiet)
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
