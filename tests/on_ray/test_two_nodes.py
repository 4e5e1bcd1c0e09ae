"""Two Ray nodes on one machine: the work spreads, and a node that is killed costs nothing."""

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from asr.output.formats import FORMATS
from asr.recognizer import Recognizer
from pipelines.batch.folder_batch import run_batch
from pipelines.batch.ledger import Ledger
from pipelines.batch.pool import Job, Outcome, PoolConfig, Worker
from pipelines.sources import Found, find_recordings
from tests.on_ray.killing import SecondNode
from tests.pipelines.bundles import save_nonsense
from tests.recordings import RECORDINGS

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning:ray.*")


class Placed(Worker):
    """Takes its time, and leaves beside each recording the id of the node that it was heard on."""

    def transcribe(self, job: Job) -> Outcome:
        import ray

        outcome = super().transcribe(job)
        with job.path.with_suffix(".node").open("a") as marks:
            marks.write(ray.get_runtime_context().get_node_id() + "\n")
        time.sleep(0.1)
        return outcome


@pytest.fixture
def second_node(ray_here: str) -> Iterator[SecondNode]:
    node = SecondNode(ray_here)
    yield node
    node.kill()


@pytest.mark.slow
def test_the_work_spreads_over_nodes_and_a_killed_one_costs_nothing(second_node: SecondNode, tmp_path: Path) -> None:
    sounds, out, model = tmp_path / "sounds", tmp_path / "out", save_nonsense(tmp_path / "nonsense")
    sounds.mkdir()
    for number in range(100):
        shutil.copy(RECORDINGS[number % 2], sounds / f"{number:02}.opus")
    second = second_node.wait()

    def heard_there() -> int:
        return sum(second in path.read_text().split() for path in sounds.glob("*.node"))

    def kill() -> None:
        while heard_there() < 3 and not over.wait(0.05):
            pass
        second_node.kill()

    over = threading.Event()
    killer = threading.Thread(target=kill)
    killer.start()
    try:
        found = [x for x in find_recordings([str(sounds)]) if isinstance(x, Found)]
        status = run_batch(found, out, ("txt",), PoolConfig(4, str(model)), worker=Placed)
    finally:
        over.set()
        killer.join()
    assert status == 0
    assert 3 <= heard_there() < 97, "both nodes have worked"
    recognizer = Recognizer.load(model)
    texts = [FORMATS["txt"](recognizer.transcribe(path)) for path in RECORDINGS[:2]]
    assert [(out / f"{n:02}.txt").read_text() for n in range(100)] == [texts[n % 2] for n in range(100)]
    ledger = Ledger(out)
    rows = ledger.rows()
    ledger.close()
    assert [row.state for row in rows] == ["done"] * 100
    assert sum(row.attempts - 1 for row in rows) <= 4, "only what was in its hands is done again"
