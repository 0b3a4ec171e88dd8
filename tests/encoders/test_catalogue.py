"""The shipped table is that of the open_clip installed; listing it is light."""

from __future__ import annotations

import subprocess
import sys

import open_clip
import pytest
from safetensors.torch import load_file

from cliplab.encoders import catalogue, published
from cliplab.encoders.catalogue import list_encoders
from cliplab.encoders.open_clip import load_encoder
from cliplab.encoders.trained import WEIGHTS
from cliplab.runtime.errors import UnknownName
from cliplab.runtime.shipped import ENCODER, NAME, shipped


@pytest.fixture(autouse=True)
def no_caches(tmp_path, monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(published, "OPENAI_CACHE", tmp_path / "clip")


def test_the_table_is_not_stale():
    """`python -m cliplab.encoders.catalogue` writes it anew."""
    expected = [row._replace(parameters="") for row in catalogue.published_rows(counted=False)]
    assert [row._replace(parameters="") for row in catalogue._table()] == expected


def test_what_comes_with_cliplab_stands_first():
    entry = list_encoders()[0]
    assert list_encoders("Quick") == [entry]
    made = load_encoder(entry.name, device="cpu")
    assert (entry.name, entry.width, (entry.resolution,) * 2) == (NAME, made.width, made.resolution)
    assert made.identity["activation"] == entry.activation
    stored = load_file(shipped(ENCODER) / WEIGHTS)
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    assert entry.parameters == sum(
        value.numel() for name, value in stored.items() if not name.endswith(buffers)
    )


def test_counts_are_those_of_the_models():
    found = {entry.name: entry for entry in list_encoders()}
    for name in ("ViT-B-32/openai", "RN50/openai", "ViT-B-16-SigLIP/webli"):
        counted = catalogue._parameters(name.partition("/")[0])
        assert found[name].parameters == int(counted)
    assert found["ViT-B-32/openai"].parameters == 151_277_313  # the published number
    assert found["xlm-roberta-base-ViT-B-32/laion5b_s13b_b90k"].parameters is None


def test_every_architecture_without_a_hub_is_counted():
    for entry in list_encoders()[1:]:
        text = open_clip.get_model_config(entry.name.partition("/")[0])["text_cfg"]
        assert (entry.parameters is None) == ("hf_model_name" in text), entry.name


def test_rows_say_what_the_weights_want():
    entry = list_encoders("vit-b-32/OPENAI")[0]
    assert (entry.width, entry.resolution, entry.activation) == (512, 224, "quick_gelu")
    assert {e.activation for e in list_encoders("ViT-B-32/laion2b_s34b")} == {"gelu"}
    # The tag is silent, and the architecture was trained with QuickGELU.
    assert list_encoders("roberta-ViT-B-32/laion2b_s12b")[0].activation == "quick_gelu"


def test_the_same_weights_are_listed_once():
    names = [entry.name for entry in list_encoders()[1:]]
    assert len(set(names)) == len(names)
    assert not [name for name in names if "-quickgelu" in name]
    pairs = {f"{a.removesuffix('-quickgelu')}/{t}" for a, t in open_clip.list_pretrained()}
    assert set(names) == pairs


def test_an_unknown_filter_names_the_closest():
    with pytest.raises(UnknownName, match="Did you mean 'ViT-B-32/openai'"):
        list_encoders("ViT-B-32/openia")


def test_cached_weights_are_seen_in_both_caches(tmp_path):
    assert [e.name for e in list_encoders() if e.cached] == [NAME]
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip" / "RN50.pt").touch()
    assert [e.name for e in list_encoders() if e.cached] == [NAME, "RN50/openai"]
    snapshot = tmp_path / "hub" / "models--timm--resnet101_clip.openai"
    (snapshot / "snapshots" / "abc").mkdir(parents=True)
    (snapshot / "refs").mkdir()
    (snapshot / "refs" / "main").write_text("abc")
    (snapshot / "snapshots" / "abc" / "open_clip_model.safetensors").touch()
    assert [e.name for e in list_encoders("rn101") if e.cached] == ["RN101/openai"]


def test_listing_imports_neither_torch_nor_open_clip():
    code = (
        "import sys; from cliplab.encoders.catalogue import list_encoders; list_encoders(); "
        "sys.exit(bool({'torch', 'open_clip', 'timm'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
