import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# From the top of the house to its foot: a module imports only what stands above it.
HOUSE = [
    ["asr.errors"],
    ["asr.settings"],
    ["asr.writing"],
    ["asr.audio"],
    ["asr.features"],
    ["asr.model"],
    ["asr.lm"],
    ["asr.decoding"],
    ["asr.segments"],
    ["asr.cutting"],
    ["asr.hearing"],
    ["asr.events"],
    ["asr.live"],
    ["asr.recognizer"],
    ["asr.output"],
    ["asr.data"],
    ["asr.evaluation"],
    ["asr.training"],
    ["pipelines"],
]
LEVEL = {name: level for level, names in enumerate(HOUSE) for name in names}
FILES = sorted([*(ROOT / "asr").rglob("*.py"), *(ROOT / "pipelines").rglob("*.py")])


def level_of(module: str) -> int | None:
    parts = module.split(".")
    names = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    return next((LEVEL[name] for name in names if name in LEVEL), None)


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return {name for name in found if name.split(".")[0] in ("asr", "pipelines")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    here = level_of(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
    for name in imported(path):
        there = level_of(name)
        assert here is None or there is None or there <= here, f"{path.name} imports {name}, which stands below it"


@pytest.mark.parametrize(
    "module",
    [
        *("asr", "asr.errors", "asr.decoding.words", "asr.output", "asr.audio.reader", "asr.evaluation.scores"),
        "pipelines.command",
    ],
)
def test_what_must_start_at_once_imports_neither_torch_nor_ray(module: str) -> None:
    code = f"import sys, {module}; print([name for name in ('torch', 'ray') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
