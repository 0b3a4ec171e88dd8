"""Which towers can be trained, and what is said of those that cannot."""

from __future__ import annotations

import json

import pytest
import torch

from cliplab.encoders.architecture import SKETCH, TINY, build, read_architecture
from cliplab.runtime.errors import UnknownName, UsageError

TOWERS = {
    "embed_dim": 8,
    "vision_cfg": {"image_size": 8, "layers": 1, "width": 8, "head_width": 8, "patch_size": 4},
    "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 8, "heads": 1, "layers": 1},
}


@pytest.fixture
def config(tmp_path):
    """A function that writes a configuration file and gives its path."""

    def write(content) -> str:
        path = tmp_path / "own.json"
        path.write_text(json.dumps(content))
        return str(path)

    return write


def test_tiny_is_mostly_its_token_table():
    built = build(read_architecture(TINY), seed=0)
    table = built.model.token_embedding.weight.numel()
    total = sum(p.numel() for p in built.model.parameters())
    assert 0.8 < table / total < 1.0
    assert total < 4_000_000
    assert built.preprocessing.size == (32, 32)
    assert built.tokenize(["a digit"]).shape == (1, 24)


def test_sketch_is_narrow_and_reads_drawings():
    built = build(read_architecture(SKETCH), seed=0)
    table = built.model.token_embedding.weight.numel()
    assert sum(p.numel() for p in built.model.parameters()) - table < 700_000
    assert built.preprocessing.size == (64, 64)
    with torch.no_grad():
        assert built.model.eval().encode_image(torch.zeros(1, 3, 64, 64)).shape == (1, 64)


def test_weights_depend_on_the_seed_alone_and_leave_the_global_one():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, again, other = (build(read_architecture(TINY), s).model.logit_scale for s in (0, 0, 1))
    assert first == again == other  # not drawn
    assert torch.rand(1) == expected
    visual = [build(read_architecture(TINY), s).model.visual.proj for s in (0, 0, 1)]
    assert torch.equal(visual[0], visual[1])
    assert not torch.equal(visual[0], visual[2])


def test_both_kinds_of_file_and_a_known_name_are_read(config):
    bare = read_architecture(config(TOWERS))
    assert (bare.model_cfg, bare.preprocess_cfg) == (TOWERS, {})
    whole = read_architecture(config({"model_cfg": TOWERS, "preprocess_cfg": {"std": [1, 1, 1]}}))
    assert build(whole, 0).preprocessing.std == (1, 1, 1)
    assert read_architecture("ViT-B-32").model_cfg["embed_dim"] == 512


def test_an_unknown_name_gives_the_closest():
    with pytest.raises(UnknownName, match="Did you mean 'ViT-B-32'"):
        read_architecture("ViT-B_32")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"embed_dim": 8}, "text_cfg, vision_cfg missing"),
        (["a list"], "no configuration of open_clip's"),
        ({**TOWERS, "text_cfg": {"hf_model_name": "roberta-base"}}, "comes from a hub"),
        ({**TOWERS, "text_cfg": {"hf_tokenizer_name": "t5"}}, "comes from a hub"),
        ({**TOWERS, "multimodal_cfg": {}}, "writes captions too"),
    ],
)
def test_what_cannot_be_trained_is_told(config, content, words):
    with pytest.raises(UsageError, match=words):
        read_architecture(config(content))


def test_a_wrong_field_is_told_with_what_open_clip_says(config):
    wrong = {**TOWERS, "vision_cfg": {**TOWERS["vision_cfg"], "depth": 3}}
    with pytest.raises(UsageError, match=r"cannot be built by open_clip.*depth"):
        build(read_architecture(config(wrong)), seed=0)
