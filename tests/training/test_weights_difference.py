import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import torch

from asr.model.bundle import load_bundle, save_bundle
from tests.pipelines.bundles import save_nonsense

SCRIPT = Path(__file__).parents[2] / "scripts" / "weights_difference"


def run(*arguments: object) -> None:
    subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], check=True, capture_output=True)


def test_a_kept_difference_gives_back_each_weight_to_within_a_standard_deviation_of_its_rows_changes(
    tmp_path: Path,
) -> None:
    model = save_nonsense(tmp_path / "model")
    begun, ended = load_bundle(model), load_bundle(model)
    changed = {name: x + 0.1 * torch.randn_like(x) for name, x in begun.model.state_dict().items()}
    ended.model.load_state_dict(changed)
    trained = replace(ended, features=replace(ended.features, hop=128))
    save_bundle(trained, tmp_path / "trained")

    run("make", model, tmp_path / "trained", tmp_path / "kept.npz")
    run("add", model, tmp_path / "kept.npz", tmp_path / "found")

    found = load_bundle(tmp_path / "found")
    assert found.features == trained.features
    many = 0
    for name, value in found.model.state_dict().items():
        if value.ndim < 2 or value.numel() <= 1_000:
            assert torch.allclose(value, changed[name], rtol=1e-3, atol=1e-6)
        else:
            off = (value - changed[name]).abs()
            change = changed[name] - begun.model.state_dict()[name]
            assert (off.flatten(1).amax(1) <= 1.01 * change.flatten(1).std(1)).all()
            many += 1
    assert many
