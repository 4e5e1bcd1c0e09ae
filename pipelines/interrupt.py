"""Ctrl-C that cannot get lost: Python drops an exception that is raised inside a destructor or a library's callback."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # Ctrl-C, a polite kill, a closed terminal


@contextmanager
def sure_interrupt() -> Iterator[Callable[[], None]]:
    """KeyboardInterrupt at once, as ever; and again, if the first was dropped, when what this yields is called.

    SIGTERM and SIGHUP are taken like Ctrl-C.
    In a thread other than the main one, which gets no signals, it does nothing.
    """
    seen = threading.Event()

    def notice(_number: int, _frame: FrameType | None) -> None:
        seen.set()
        raise KeyboardInterrupt

    def check() -> None:
        if seen.is_set():
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield check
        return
    before = {number: signal.signal(number, notice) for number in ENDS}
    try:
        yield check
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
