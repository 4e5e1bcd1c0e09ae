"""Where a stream's sound comes from: a microphone, a file played live, a socket. A value that travels to the actor."""

import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from asr.audio.microphone import Notice, Samples, listen
from asr.errors import AudioError, ConfigError
from pipelines.live_sources import play, read_pcm

_SOCKET = "tcp://"


@dataclass(frozen=True)
class Source:
    """A microphone where `input` is empty, a socket to listen on where it is tcp://HOST:PORT, else a file."""

    input: str = ""
    speed: float = 1.0
    microphone: str = ""

    @property
    def waits(self) -> bool:
        """Whether it can be made to wait; a microphone cannot."""
        return bool(self.input)

    @property
    def where(self) -> str:
        """Its name in messages."""
        return self.input or f"microphone {self.microphone or '(default)'}"

    def open(self, skip: int) -> Iterator[Samples | Notice]:
        """Samples from number `skip` on, if the source can give them again; else what comes now. Raises AudioError."""
        if self.input.startswith(_SOCKET):
            return _hear_socket(self.input)
        if self.input:
            return play(Path(self.input), self.speed, skip)
        chosen = int(self.microphone) if self.microphone.isdecimal() else self.microphone or None
        return _going_on(listen(chosen), skip)


def sources_of(inputs: Sequence[str], count: int, *, speed: float, microphone: str) -> dict[str, Source]:
    """Stream name -> source: the inputs, gone through again where more streams are asked for. Raises ConfigError."""
    if "-" in inputs:
        raise ConfigError("--input", "standard input cannot go to another process; use a file or tcp://HOST:PORT")
    if not inputs and count > 1:
        raise ConfigError("--streams", "one microphone is one stream; name files or tcp://HOST:PORT with --input")
    given = [Source(text, speed, microphone) for text in inputs] or [Source("", speed, microphone)]
    chosen = [given[i % len(given)] for i in range(max(count, len(given)))]
    for source in chosen:
        if source.input.startswith(_SOCKET):
            _address(source.input)
    return {_name(source, number): source for number, source in enumerate(chosen)}


def _name(source: Source, number: int) -> str:
    """Also a folder's name: two digits keep it apart from others of the same file."""
    stem = "socket" if source.input.startswith(_SOCKET) else Path(source.input).stem or "microphone"
    return f"{number:02d}-{''.join(letter if letter.isalnum() else '-' for letter in stem)}"


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.removeprefix(_SOCKET).rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise ConfigError("--input", f"expected tcp://HOST:PORT, got {text}")
    return host or "127.0.0.1", int(port)


def _going_on(parts: Iterator[Samples | Notice], skip: int) -> Iterator[Samples | Notice]:
    if skip:
        yield Notice("going on; what was said while nobody listened is not heard")
    yield from parts


_listeners: dict[tuple[str, int], socket.socket] = {}  # of this process: streams on one address take turns
_lock = threading.Lock()

# A peer that is gone without a word, as by a pulled cable, is noticed after 10 + 3 * 5 s.
_ALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}  # not every platform has all of them


def _hear_socket(text: str) -> Iterator[Samples | Notice]:
    """The next connection on an address: raw 16-bit mono 16 kHz samples until it is closed in order.

    One that breaks is waited for: whoever speaks may connect again and go on. So is one that brought no raw samples, as
    a look whether somebody listens here.
    """
    address = _address(text)
    with _lock:
        if address not in _listeners:
            try:
                _listeners[address] = socket.create_server(address, backlog=64)
            except OSError as error:
                raise AudioError(text, f"cannot be listened on: {error.strerror}") from error
        listener = _listeners[address]
    while True:
        connection, peer = listener.accept()
        name = f"{peer[0]}:{peer[1]}"
        yield Notice(f"{name} is heard on {text}")
        try:
            with connection, connection.makefile("rb") as stream:
                keep_alive(connection)
                yield from read_pcm(stream, name)
            return
        except AudioError as error:
            yield Notice(f"{error}; {text} waits for another")
        except OSError as error:  # also a host that is gone: ETIMEDOUT, EHOSTUNREACH
            yield Notice(f"{name} broke off ({error.strerror or error}); it may connect again and go on")


def keep_alive(connection: socket.socket) -> None:
    """Have the system ask a silent peer whether it is still there."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _ALIVE.items():
        if hasattr(socket, option):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
