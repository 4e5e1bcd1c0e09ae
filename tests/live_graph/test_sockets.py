"""A stream from a socket: what breaks, or is no sound, ends nothing."""

import errno
import socket
import time
from pathlib import Path

import numpy as np
import pytest

from pipelines.live_graph import sources
from pipelines.live_graph.capture import Capture
from pipelines.live_graph.config import CHUNK
from pipelines.live_graph.sources import Source, keep_alive
from tests.live_graph.test_capture import rest

SPOKEN = (np.arange(6 * CHUNK) % 1000).astype("<i2")
HEARD = SPOKEN.astype(np.float32) / 32768


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def capture_at(port: int, folder: Path) -> Capture:
    return Capture({"a": Source(f"tcp://127.0.0.1:{port}")}, folder, queued_s=5.0)


def connected(port: int) -> socket.socket:
    for _ in range(500):
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            time.sleep(0.02)
    raise TimeoutError


def test_a_speaker_whose_connection_breaks_may_connect_again_and_go_on(port: int, tmp_path: Path) -> None:
    capture = capture_at(port, tmp_path)
    with connected(port) as line:
        line.sendall(SPOKEN[: 3 * CHUNK].tobytes())
        first, caught = capture.read("a", 2)
        assert len(first) == CHUNK
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # ends with a reset, as a crash does
    with connected(port) as line:
        line.sendall(SPOKEN[3 * CHUNK :].tobytes())
    samples, notices = rest(capture, "a")
    assert np.array_equal(samples, HEARD)
    said = [("is heard" in notice, "broke off" in notice) for notice in (*caught.notices, *notices)]
    assert said == [(True, False), (False, True), (True, False)]


def test_a_connection_without_samples_is_noted_and_the_next_one_is_heard(port: int, tmp_path: Path) -> None:
    capture = capture_at(port, tmp_path)
    connected(port).close()
    with connected(port) as line:
        line.sendall(b"OggS" + bytes(100))
    with connected(port) as line:
        line.sendall(SPOKEN.tobytes())
    samples, notices = rest(capture, "a")
    assert np.array_equal(samples, HEARD)
    assert ["no samples" in notice for notice in notices] == [False, True, False, False, False]
    assert ["OggS" in notice for notice in notices] == [False, False, False, True, False]
    assert not any("stdin" in notice for notice in notices), "it is named as the connection that it is"


def test_a_host_that_is_gone_may_come_back_and_go_on(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = [OSError(errno.EHOSTUNREACH, "No route to host"), TimeoutError(errno.ETIMEDOUT, "timed out")]
    read_pcm = sources.read_pcm

    def lost(stream, name):  # type: ignore[no-untyped-def]
        if losses:
            raise losses.pop()
        yield from read_pcm(stream, name)

    monkeypatch.setattr(sources, "read_pcm", lost)
    capture = capture_at(port, tmp_path)
    connected(port).close()
    connected(port).close()
    with connected(port) as line:
        line.sendall(SPOKEN.tobytes())
    samples, notices = rest(capture, "a")
    assert np.array_equal(samples, HEARD)
    assert ["broke off" in notice for notice in notices] == [False, True, False, True, False]


def test_a_peer_that_is_silent_is_asked_whether_it_is_there() -> None:
    with socket.socket() as connection:
        keep_alive(connection)
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        if hasattr(socket, "TCP_KEEPIDLE"):
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10
