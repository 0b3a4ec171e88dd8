"""A folder of a trained encoder comes back the same, by us and by open_clip itself."""

from __future__ import annotations

import json
import shutil

import open_clip
import pytest
import torch
from safetensors.torch import load_file

from cliplab.encoders import trained
from cliplab.encoders.open_clip import load_encoder
from cliplab.runtime.errors import DataError, FormatTooNew


@pytest.fixture
def folder(tiny_folder, tmp_path):
    return shutil.copytree(tiny_folder("vit"), tmp_path / "trained")


def test_round_trip(tmp_path, tiny_folder):
    config = trained.read_config(tiny_folder("vit"))
    state = {"weight": torch.randn(3, 4).T, "scale": torch.tensor(2.0)}
    trained.save_trained(
        tmp_path / "made", state, config["model_cfg"], config["preprocess_cfg"], {"seed": 3}
    )
    assert trained.is_trained(tmp_path / "made")
    assert trained.read_config(tmp_path / "made") == config
    found = load_file(trained.weights_in(tmp_path / "made"))
    assert set(found) == set(state)
    assert all(torch.equal(found[name], state[name]) for name in state)
    notes = json.loads((tmp_path / "made" / trained.NOTES).read_text())
    assert notes == {"format_version": trained.WHOLE, "seed": 3}


def test_open_clip_reads_it_without_us(folder, pictures):
    encoder = load_encoder(folder)
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    pixels = torch.stack([transform(picture) for picture in pictures])
    assert torch.equal(pixels, torch.stack([encoder.preprocess(picture) for picture in pictures]))
    with torch.inference_mode():
        expected = model.eval().encode_image(pixels)
    torch.testing.assert_close(encoder.encode_pixels(pixels).embedding, expected)
    assert open_clip.get_tokenizer(f"local-dir:{folder}").context_length == 12


def test_the_one_other_file_of_weights_is_taken(folder):
    (folder / trained.WEIGHTS).rename(folder / "model.safetensors")
    assert trained.weights_in(folder) == folder / "model.safetensors"


def test_a_folder_without_weights_says_how_to_go_on(folder):
    (folder / trained.WEIGHTS).unlink()
    with pytest.raises(DataError, match=r"holds 0 files of weights.*cliplab train clip"):
        load_encoder(folder)


def test_a_newer_format_is_refused(folder):
    (folder / trained.NOTES).write_text('{"format_version": 99}')
    with pytest.raises(FormatTooNew, match="Upgrade cliplab"):
        load_encoder(folder)


@pytest.mark.parametrize("text", ["{}", "[]", '{"model_cfg', '{"model_cfg": {"embed_dim": 8}}'])
def test_a_damaged_configuration_is_refused(folder, text):
    (folder / trained.CONFIG).write_text(text)
    with pytest.raises(DataError):
        load_encoder(folder)
