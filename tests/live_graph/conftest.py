from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.live_graph.config import ModelChoice
from pipelines.live_graph.journal import Journal
from pipelines.live_graph.output import Output
from pipelines.live_graph.stages import Features, Reader
from tests.pipelines.bundles import save_nonsense


@pytest.fixture(scope="package")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_nonsense(tmp_path_factory.mktemp("models") / "nonsense")


@pytest.fixture(scope="package")
def stages(model: Path) -> tuple[Features, Reader]:
    return Features(ModelChoice(str(model))), Reader(ModelChoice(str(model)))


@pytest.fixture(autouse=True)
def _let_go(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Writers that a test leaves as a crash would are closed after it."""
    left: list[Journal | Output] = []
    for kind in (Journal, Output):
        monkeypatch.setattr(kind, "__init__", _noted(kind.__init__, left))
    yield
    for writer in left:
        writer.close()


def _noted(begin, left):  # type: ignore[no-untyped-def]
    def noted(self, *arguments, **options):  # type: ignore[no-untyped-def]
        begin(self, *arguments, **options)
        left.append(self)

    return noted
