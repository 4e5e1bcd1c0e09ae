from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from asr.errors import CheckpointError, ConfigError
from asr.features.spectral import FeatureConfig
from asr.model.bundle import CONFIG, WEIGHTS, Bundle, load_bundle, save_bundle
from asr.model.storage import Storage, packed, unpacked
from asr.model.units import SubwordUnits
from tests.conftest import small_model, small_units


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    bundle = Bundle(small_model(), FeatureConfig(), small_units(), card="# A card\n", metrics={"wer": 12.5})
    save_bundle(bundle, tmp_path / "model")
    return tmp_path / "model"


def test_a_bundle_comes_back_as_it_was(folder: Path) -> None:
    bundle, model = load_bundle(folder), small_model()
    frames = torch.randn(1, 50, 80)
    torch.manual_seed(0)
    expected = dict(bundle.model.state_dict())
    save_bundle(bundle, folder)
    again = load_bundle(folder)
    for name, x in again.model.state_dict().items():
        assert torch.equal(x, expected[name])
    assert again.units["character"].tokens == small_units()["character"].tokens
    assert (again.card, again.metrics, again.features) == ("# A card\n", {"wer": 12.5}, FeatureConfig())
    assert again.model.config == model.config
    length = torch.tensor([50])
    before, after = bundle.model(frames, length), again.model(frames, length)
    torch.testing.assert_close(before.log_probs["character"], after.log_probs["character"])


@pytest.mark.parametrize(("storage", "size", "error"), [("fp16", 0.6, 0.01), ("int8", 0.5, 0.1)])
def test_smaller_weights_hardly_move_the_output(folder: Path, storage: Storage, size: float, error: float) -> None:
    bundle = load_bundle(folder)
    save_bundle(bundle, folder.parent / "small", storage=storage)
    small, full = folder.parent / "small" / WEIGHTS, folder / WEIGHTS
    assert small.stat().st_size < size * full.stat().st_size
    frames, length = torch.randn(1, 50, 80), torch.tensor([50])
    close = load_bundle(folder.parent / "small").model(frames, length).log_probs["character"]
    torch.testing.assert_close(close, bundle.model(frames, length).log_probs["character"], rtol=error, atol=error)
    again = packed(load_bundle(folder.parent / "small").model.state_dict(), storage)
    for name, x in unpacked(again).items():  # stored again, nothing more is lost
        torch.testing.assert_close(x, load_bundle(folder.parent / "small").model.state_dict()[name])


def remove_config(folder: Path) -> None:
    (folder / CONFIG).unlink()


def break_weights(folder: Path) -> None:
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[:-10])


def remove_units(folder: Path) -> None:
    (folder / "character.txt").unlink()


def foreign_format(folder: Path) -> None:
    (folder / CONFIG).write_text("model: whisper\n")


def unknown_key(folder: Path) -> None:
    values = yaml.safe_load((folder / CONFIG).read_text())
    values["model"]["attention"] = 8
    (folder / CONFIG).write_text(yaml.safe_dump(values))


def other_shape(folder: Path) -> None:
    values = yaml.safe_load((folder / CONFIG).read_text())
    values["model"]["hidden"] = 16
    (folder / CONFIG).write_text(yaml.safe_dump(values))


def not_finite(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    weights["mean"][0] = float("nan")
    save_file(weights, folder / WEIGHTS)
    values = yaml.safe_load((folder / CONFIG).read_text())
    import hashlib

    values["files"][WEIGHTS] = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    (folder / CONFIG).write_text(yaml.safe_dump(values))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (remove_config, "config.yaml is missing"),
        (break_weights, "damaged"),
        (remove_units, "missing from the bundle"),
        (foreign_format, "foreign"),
        (unknown_key, "attention"),
        (other_shape, "do not fit"),
        (not_finite, "not finite"),
    ],
)
def test_a_wrong_damaged_or_foreign_bundle_is_named_with_its_fault(
    folder: Path, harm: Callable[[Path], None], said: str
) -> None:
    harm(folder)
    with pytest.raises(CheckpointError, match=said):
        load_bundle(folder)


def test_no_bundle_at_all_is_said(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is none"):
        load_bundle(tmp_path / "nothing")


def test_subwords_write_any_text_of_known_letters_and_refuse_others() -> None:
    units = SubwordUnits.train(["the cat sat on the mat", "a dog ate the cat's hat"] * 20, 40)
    ids = units.encode("that hat")
    assert ids is not None
    assert 0 not in ids
    assert units.decode(ids) == "that hat"
    assert units.encode("ünder") is None


def test_a_bundle_takes_no_place_where_other_things_lie(tmp_path: Path) -> None:
    bundle = Bundle(small_model(), FeatureConfig(), small_units(), card="", metrics={})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo.jpg").write_text("dear to me")
    with pytest.raises(ConfigError, match="other things"):
        save_bundle(bundle, tmp_path / "mine")
    assert (tmp_path / "mine" / "photo.jpg").exists()
    for _ in range(2):  # a new folder, and a model that is replaced
        save_bundle(bundle, tmp_path / "new")
