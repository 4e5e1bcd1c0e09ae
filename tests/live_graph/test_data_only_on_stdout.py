import threading

import pytest

from pipelines.ray_connection import data_only_on_stdout


def test_what_rays_threads_print_is_no_data(capsys: pytest.CaptureFixture[str]) -> None:
    with data_only_on_stdout():
        thread = threading.Thread(target=print, args=("(raylet) A worker died",))
        thread.start()
        thread.join()
        print("words")
    assert tuple(capsys.readouterr()) == ("words\n", "(raylet) A worker died\n")
