import importlib.machinery
import importlib.util
import json
import lzma
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

SCRIPT = Path(__file__).parents[2] / "scripts" / "synthesise"


@pytest.fixture(scope="module")
def synthesise() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("synthesise", str(SCRIPT))
    spec = importlib.util.spec_from_loader("synthesise", loader)
    assert spec is not None
    module = sys.modules["synthesise"] = importlib.util.module_from_spec(spec)
    wrote, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    loader.exec_module(module)
    sys.dont_write_bytecode = wrote
    return module


def sing(text: str, speaker: object, rng: np.random.Generator) -> np.ndarray:
    if "odd" in text:
        raise ValueError("no such sound")
    if "ctrl-c" in text:
        raise KeyboardInterrupt
    return rng.normal(0, 1, 800 * len(text.split()))


def rows_of(folder: Path) -> list[dict[str, object]]:
    return [json.loads(row) for row in (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]


def test_fewer_lines_are_the_beginning_of_more_and_all_have_their_words(synthesise: ModuleType, tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.txt", tmp_path / "b.txt.xz"
    plain.write_text("".join(f"line {n} " + "word " * (n % 5) + "\n" for n in range(50)), encoding="utf-8")
    packed.write_bytes(lzma.compress("ein Satz für sich\n".encode()))
    every = synthesise.choose([plain, packed], (3, 5), None, 1)
    assert {len(line.split()) for line in every} == {3, 4, 5}
    assert every[-1] == "ein Satz für sich"
    drawn = synthesise.choose([plain, packed], (3, 5), 31, 1)
    assert sorted(drawn) == sorted(every)
    assert synthesise.choose([plain, packed], (3, 5), 9, 1) == drawn[:9]
    assert synthesise.choose([plain, packed], (3, 5), 9, 2) != drawn[:9]


def test_a_run_cut_off_and_resumed_equals_one_that_was_not(synthesise: ModuleType, tmp_path: Path) -> None:
    texts = ["one two", "three", "four five six"]
    lines = synthesise.cast(texts, 1, 100)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for folder in (whole, cut):
        folder.mkdir()
    assert synthesise.record_all(lines, sing, whole, "wav") == 0
    with pytest.raises(KeyboardInterrupt):
        synthesise.record_all([*lines[:2], *synthesise.cast(["ctrl-c"], 1, 100)], sing, cut, "wav")
    manifest = cut / "manifest.jsonl"
    manifest.write_bytes(manifest.read_bytes()[:-9])
    spoken = synthesise.already_spoken(manifest, lines)
    assert spoken == {0}
    synthesise.record_all([line for line in lines if line.number not in spoken], sing, cut, "wav")
    assert rows_of(cut) == rows_of(whole)
    for row in rows_of(whole):
        name = str(row["audio_filepath"])
        assert (cut / name).read_bytes() == (whole / name).read_bytes()
        assert row["duration"] == soundfile.info(whole / name).duration


def test_a_folder_with_other_lines_is_refused(synthesise: ModuleType, tmp_path: Path) -> None:
    synthesise.record_all(synthesise.cast(["one two"], 1, 100), sing, tmp_path, "wav")
    for others in (synthesise.cast(["two one"], 1, 100), synthesise.cast(["one two"], 2, 100)):
        with pytest.raises(ValueError, match="take another OUT"):
            synthesise.already_spoken(tmp_path / "manifest.jsonl", others)


def test_a_line_that_fails_is_named_and_the_others_are_spoken(
    synthesise: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = synthesise.cast(["one", "odd one", "two"], 1, 100)
    assert synthesise.record_all(lines, sing, tmp_path, "wav") == 1
    assert "line 1: 'odd one': ValueError('no such sound')" in capsys.readouterr().err
    assert [row["text"] for row in rows_of(tmp_path)] == ["one", "two"]


@pytest.mark.skipif(importlib.util.find_spec("hibari") is not None, reason="hibari is here")
def test_without_hibari_it_says_how_to_install_it(tmp_path: Path) -> None:
    command = [sys.executable, SCRIPT, tmp_path / "out", "--text", SCRIPT, "--graphs", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install" in done.stderr
    assert not (tmp_path / "out").exists()
