from collections.abc import Iterator

import pytest

from pipelines.live_graph.journal import Journal
from pipelines.live_graph.output import Output


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
