"""One Ray for all tests of this folder: starting it costs more than most of them."""

import os
from collections.abc import Iterator

import pytest

from pipelines.ray_connection import connected


@pytest.fixture(scope="package")
def ray_here() -> Iterator[str]:
    """Its address."""
    os.environ.setdefault("RAY_metrics_report_interval_ms", "1000")  # its own ten seconds are longer than most streams
    with connected(None, cpus=8) as ray:
        yield ray.get_runtime_context().gcs_address
