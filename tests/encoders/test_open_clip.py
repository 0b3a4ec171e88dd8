"""Names and files become the right towers: activation, preprocessing, identity, and refusals."""

from __future__ import annotations

import importlib.util
import json
import shutil
import warnings

import open_clip
import pytest
import torch
from safetensors.torch import load_file, save_file

from cliplab.encoders import open_clip as family
from cliplab.encoders import published
from cliplab.encoders.open_clip import load_encoder
from cliplab.runtime.errors import DataError, MissingWeights, UnknownName, UsageError

WEIGHTS = "open_clip_model.safetensors"
ARCHITECTURES = {"tiny": "vit", "tiny-quickgelu": "vit-quickgelu", "tiny-resnet": "resnet"}


@pytest.fixture
def tiny_architectures(tiny_folder, tmp_path, monkeypatch):
    """open_clip knows `tiny` and `tiny-quickgelu`, with a tag each; gives the weights of `tiny`."""
    from open_clip import factory, pretrained

    monkeypatch.setattr(factory, "_MODEL_CONFIGS", dict(factory._MODEL_CONFIGS))
    monkeypatch.setattr(factory, "_MODEL_CONFIG_PATHS", list(factory._MODEL_CONFIG_PATHS))
    (tmp_path / "configs").mkdir()
    for name, kind in ARCHITECTURES.items():
        config = json.loads((tiny_folder(kind) / "open_clip_config.json").read_text())
        (tmp_path / "configs" / f"{name}.json").write_text(json.dumps(config["model_cfg"]))
    open_clip.add_model_config(tmp_path / "configs")
    weights = shutil.copy(tiny_folder("vit") / WEIGHTS, tmp_path / WEIGHTS)
    tags = {
        "openai": pretrained._pcfg(file=str(weights), quick_gelu=True),
        "laion": pretrained._slpcfg(file=str(weights)),
    }
    for name in ("tiny", "tiny-quickgelu"):
        monkeypatch.setitem(pretrained._PRETRAINED, name, tags)
    return tmp_path / WEIGHTS


@pytest.fixture
def archive(tmp_path, tiny_folder):
    """The weights of `tiny` as an archive of TorchScript."""

    class Tower(torch.nn.Module):
        def forward(self, x):
            return x

    root = Tower()
    for name, value in load_file(tiny_folder("vit") / WEIGHTS).items():
        *parents, leaf = name.split(".")
        node = root
        for parent in parents:
            if parent not in node._modules:
                node.add_module(parent, Tower())
            node = node._modules[parent]
        node.register_parameter(leaf, torch.nn.Parameter(value, requires_grad=False))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        torch.jit.script(root).save(tmp_path / "tiny.pt")
    return tmp_path / "tiny.pt"


@pytest.fixture
def pixels():
    return torch.randn((4, 3, 32, 32), generator=torch.Generator().manual_seed(1))


def embedding(encoder, pixels):
    return encoder.encode_pixels(pixels).embedding


def plain_open_clip(folder, pixels, *, quick):
    model = open_clip.create_model(f"local-dir:{folder}", quick_gelu=quick).eval()
    with torch.inference_mode():
        return model.encode_image(pixels)


# ------------------------------------------------------------------------------- activation


def test_the_activation_is_the_tag_s_whatever_the_name(tiny_architectures, tiny_folder, pixels):
    """`ARCH/openai` is built as `ARCH-quickgelu/openai` is, and `ARCH-quickgelu/laion` is not."""
    expected = {q: plain_open_clip(tiny_folder("vit"), pixels, quick=q) for q in (True, False)}
    assert (expected[True] - expected[False]).abs().max() > 1e-3
    named, aliased = (load_encoder(f"{arch}/openai") for arch in ("tiny", "tiny-quickgelu"))
    assert torch.equal(embedding(named, pixels), expected[True])
    assert torch.equal(embedding(aliased, pixels), expected[True])
    assert named.identity == aliased.identity
    assert named.identity["activation"] == "quick_gelu"
    plain = load_encoder("tiny/laion")
    assert torch.equal(embedding(plain, pixels), expected[False])
    assert plain.identity["activation"] == "gelu"
    assert plain.identity != named.identity


def test_a_silent_tag_takes_the_architecture_s_activation(tiny_architectures):
    # As roberta-ViT-B-32's tag, which was trained with QuickGELU and does not say so.
    assert load_encoder("tiny-quickgelu/laion").identity["activation"] == "quick_gelu"


def test_every_published_tag_gets_the_activation_of_its_quickgelu_name():
    for architecture, tag in open_clip.list_pretrained():
        if not architecture.endswith("-quickgelu"):
            continue
        base = architecture.removesuffix("-quickgelu")
        for name in (architecture, base):
            settings = published.tag_settings(name, tag)
            assert published.wants_quick_gelu(settings, open_clip.get_model_config(name)), name


def test_both_names_of_openai_s_weights_are_built_alike(monkeypatch, tmp_path):
    """The published names themselves, without their weights."""
    monkeypatch.setattr(published, "cached_weights", lambda settings: tmp_path / "a.pt")
    named = family._blueprint("ViT-B-32/openai", None)
    aliased = family._blueprint("ViT-B-32-quickgelu/openai", None)
    assert family._architecture(named) == family._architecture(aliased)
    assert named.preprocessing == aliased.preprocessing
    assert named.quick_gelu
    assert aliased.quick_gelu


def test_an_archive_of_openai_s_implies_quick_gelu(
    tiny_architectures, archive, tiny_folder, pixels
):
    encoder = load_encoder("tiny", weights=archive)  # without a warning
    expected = plain_open_clip(tiny_folder("vit"), pixels, quick=True)
    assert torch.equal(embedding(encoder, pixels), expected)
    assert encoder.identity["activation"] == "quick_gelu"
    assert encoder.identity["preprocessing"]["mean"] == pytest.approx(
        [0.48145466, 0.4578275, 0.40821073]
    )


@pytest.mark.parametrize(
    ("name", "activation"), [("tiny", "gelu"), ("tiny-quickgelu", "quick_gelu")]
)
def test_another_local_file_takes_the_architecture_s(tiny_architectures, name, activation):
    with pytest.warns(UserWarning, match="says nothing of its preprocessing and activation"):
        encoder = load_encoder(name, weights=tiny_architectures)
    assert encoder.identity["activation"] == activation


def test_a_local_file_with_a_tag_takes_the_tag_s(tiny_architectures, tmp_path):
    other = shutil.copy(tiny_architectures, tmp_path / "other.safetensors")
    encoder = load_encoder("tiny/laion", weights=other)
    assert encoder.identity == load_encoder("tiny/laion").identity
    assert encoder.identity["preprocessing"]["resize_mode"] == "squash"


# ---------------------------------------------------------------------- files and folders


def test_a_configuration_beside_the_file_is_used(tiny_architectures, tiny_folder, pixels):
    folder = tiny_folder("vit")
    encoder = load_encoder("tiny-quickgelu", weights=folder / WEIGHTS)  # without a warning
    assert encoder.identity == load_encoder(folder).identity
    assert encoder.identity["preprocessing"]["mean"] == [0.5, 0.4, 0.3]


@pytest.mark.parametrize("kind", ["safetensors", "pt", "training"])
def test_kinds_of_files_give_the_same_vectors(tiny_architectures, tmp_path, pixels, kind):
    state = load_file(tiny_architectures)
    path = tmp_path / ("other.safetensors" if kind == "safetensors" else "other.pt")
    if kind == "safetensors":
        save_file(state, path)
    elif kind == "pt":
        torch.save(state, path)
    else:
        torch.save({"epoch": 1, "state_dict": {f"module.{k}": v for k, v in state.items()}}, path)
    found = embedding(load_encoder("tiny/laion", weights=path), pixels)
    assert torch.equal(found, embedding(load_encoder("tiny/laion"), pixels))


def test_precision_changes_vectors_and_identity(tiny_folder, pixels):
    exact = load_encoder(tiny_folder("vit"))
    rough = load_encoder(tiny_folder("vit"), precision="bf16")
    found = rough.encode_pixels(pixels)
    assert found.embedding.dtype == found.features.dtype == torch.float32
    assert rough.encode_texts(["a dog"]).dtype == "float32"
    expected = embedding(exact, pixels)
    assert not torch.equal(found.embedding, expected)
    cosine = torch.nn.functional.cosine_similarity(found.embedding, expected)
    assert cosine.min() > 0.999
    assert (exact.identity["precision"], rough.identity["precision"]) == ("fp32", "bf16")
    with pytest.raises(UsageError, match="fp16 needs a GPU"):
        load_encoder(tiny_folder("vit"), device="cpu", precision="fp16")


@pytest.mark.parametrize("kind", ["vit", "timm"])
def test_the_logit_scale_is_not_rounded(tiny_folder, kind):
    exact, rough = (load_encoder(tiny_folder(kind), precision=p) for p in ("fp32", "bf16"))
    assert rough.logit_scale == exact.logit_scale


def test_identity_follows_the_weights(tiny_folder, tmp_path):
    folder = shutil.copytree(tiny_folder("vit"), tmp_path / "other")
    assert load_encoder(folder).identity == load_encoder(tiny_folder("vit")).identity
    state = load_file(folder / WEIGHTS)
    state["visual.proj"][0, 0] += 1
    save_file(state, folder / WEIGHTS)
    assert load_encoder(folder).identity != load_encoder(tiny_folder("vit")).identity


# ---------------------------------------------------------------------------------- refusals


@pytest.mark.filterwarnings("ignore:.*says nothing of its preprocessing")
def test_a_file_of_another_architecture_is_refused_with_what_does_not_fit(tiny_architectures):
    says = r"does not fit tiny-resnet: Missing key.*--encoder ARCH --weights FILE"
    with pytest.raises(DataError, match=says):
        load_encoder("tiny-resnet", weights=tiny_architectures)


@pytest.mark.filterwarnings("ignore:.*says nothing of its preprocessing")
@pytest.mark.parametrize("name", ["ViT-B-32", "RN50", "ViT-B-16-SigLIP"])
def test_a_file_far_from_the_architecture_is_refused(tiny_architectures, name):
    with pytest.raises(DataError, match=f"does not fit {name}: "):
        load_encoder(name, weights=tiny_architectures)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("ViT-B-33/openai", r"Unknown encoder 'ViT-B-33'.*Did you mean 'ViT-B-32'"),
        ("ViT-B-32/opnai", r"Unknown tag 'opnai' of ViT-B-32.*Did you mean 'openai'"),
        ("nothing-like-it", r"Unknown encoder 'nothing-like-it' \(ARCH/TAG, or an existing folder"),
    ],
)
def test_unknown_names_give_the_closest(name, says):
    with pytest.raises(UnknownName, match=says):
        load_encoder(name)


def test_an_architecture_alone_wants_weights():
    with pytest.raises(UsageError, match=r"say which weights.*RN50/openai"):
        load_encoder("RN50")
    with pytest.raises(UsageError, match=r"No published weights for ViT-M-16;.*--weights FILE"):
        load_encoder("ViT-M-16/openai")


def test_a_folder_without_an_encoder_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"holds no encoder.*cliplab train clip"):
        load_encoder(tmp_path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingWeights, match="--weights"):
        load_encoder("ViT-B-32", weights=tmp_path / "none.pt")


@pytest.mark.skipif(importlib.util.find_spec("transformers") is not None, reason="installed")
def test_a_text_tower_of_a_hub_says_what_it_wants(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(MissingWeights, match="pip install transformers"):
        load_encoder("roberta-ViT-B-32", weights=tmp_path / "a.safetensors")
