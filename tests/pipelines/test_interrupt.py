import os
import signal
import threading
from contextlib import suppress

import pytest

from pipelines.interrupt import sure_interrupt


class Destroyed:
    """Ctrl-C comes while it is destroyed: Python writes the exception off."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)


def work_that_drops_it() -> None:
    with sure_interrupt() as check:
        check()
        with suppress(KeyboardInterrupt):  # where it was not dropped this time: as good
            Destroyed()
            sum(range(10_000))  # the signal may come a little later
        check()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_ctrl_c_that_python_dropped_ends_the_work_at_the_next_check() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        work_that_drops_it()
    assert signal.getsignal(signal.SIGINT) is before


def test_in_another_thread_it_changes_nothing() -> None:
    found: list[bool] = []

    def work() -> None:
        before = signal.getsignal(signal.SIGINT)
        with sure_interrupt() as check:
            check()
            found.append(signal.getsignal(signal.SIGINT) is before)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [True]
