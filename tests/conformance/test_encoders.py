"""Every encoder obeys the contract of `nouns.Encoder`, whatever its towers."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from cliplab.encoders.open_clip import load_encoder
from cliplab.encoders.trained import save_trained
from cliplab.nouns import Encoder, digest_of

TEXT = {"context_length": 12, "width": 16, "heads": 2, "layers": 1}
VISION = {
    "vit": {"image_size": 32, "patch_size": 16, "layers": 1, "width": 64, "head_width": 32},
    "resnet": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "head_width": 32},
    "timm": {
        "timm_model_name": "test_vit",
        "timm_pool": "avg",
        "timm_proj": None,
        "image_size": 160,
    },
    "no projection": {
        "timm_model_name": "test_vit",
        "timm_pool": "map",
        "timm_proj": "none",
        "image_size": 160,
    },
}
CAPTIONS = ["a dog", "a cat", "a diagram"]


@pytest.fixture(scope="module", params=VISION)
def encoder(request, tmp_path_factory) -> Encoder:
    import open_clip

    folder = tmp_path_factory.mktemp("encoder")
    config = {"embed_dim": 64, "vision_cfg": VISION[request.param], "text_cfg": TEXT}
    config["custom_text"] = True
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = open_clip.model.CustomTextCLIP(64, dict(VISION[request.param]), dict(TEXT))
    save_trained(folder, model.state_dict(), config, {"std": [0.2, 0.3, 0.4]}, {})
    return load_encoder(folder, device="cpu")


@pytest.fixture
def pictures() -> list[Image.Image]:
    rng = np.random.default_rng(0)
    sizes = ((40, 60), (70, 33), (160, 160), (9, 9))
    return [Image.fromarray(rng.integers(0, 256, (h, w, 3), dtype=np.uint8)) for h, w in sizes]


@pytest.fixture
def pixels(encoder, pictures) -> torch.Tensor:
    return torch.stack([encoder.preprocess(picture) for picture in pictures])


def test_it_is_an_encoder(encoder):
    assert isinstance(encoder, Encoder)
    assert encoder.name
    assert encoder.logit_scale > 0
    assert encoder.device == "cpu"


def test_its_identity_is_plain_and_repeatable(encoder):
    assert json.loads(json.dumps(encoder.identity)) == encoder.identity
    assert digest_of(encoder.identity) == digest_of(dict(encoder.identity))


def test_preprocessing_gives_pixels_of_its_resolution(encoder, pixels):
    assert pixels.shape[1:] == (3, *encoder.resolution)
    assert pixels.dtype == torch.float32


def test_preprocessing_in_threads_is_the_same(encoder, pictures, pixels):
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(encoder.preprocess, pictures * 4))
    assert torch.equal(torch.stack(found), pixels.repeat(4, 1, 1, 1))


def test_pictures_become_vectors(encoder, pixels):
    found = encoder.encode_pixels(pixels)
    assert found.embedding.shape == (len(pixels), encoder.width)
    assert (found.features is None) == (encoder.feature_width is None)
    for tensor in filter(lambda t: t is not None, found):
        assert tensor.dtype == torch.float32
        assert tensor.device.type == "cpu"
        assert not tensor.requires_grad
        assert tensor.isfinite().all()
    if found.features is not None:
        assert found.features.shape == (len(pixels), encoder.feature_width)


def test_vectors_are_raw(encoder, pixels):
    lengths = encoder.encode_pixels(pixels).embedding.norm(dim=1)
    assert (lengths - 1).abs().max() > 1e-3
    assert (np.abs(np.linalg.norm(encoder.encode_texts(CAPTIONS), axis=1) - 1) > 1e-3).any()


def test_a_picture_s_vector_does_not_depend_on_its_company(encoder, pixels):
    together = encoder.encode_pixels(pixels).embedding
    alone = torch.cat([encoder.encode_pixels(one[None]).embedding for one in pixels])
    backwards = encoder.encode_pixels(pixels.flip(0)).embedding.flip(0)
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(backwards, together, rtol=1e-4, atol=1e-5)


def test_encoding_again_gives_the_same_and_leaves_the_pixels_alone(encoder, pixels):
    before = pixels.clone()
    first, second = encoder.encode_pixels(pixels), encoder.encode_pixels(pixels)
    assert torch.equal(first.embedding, second.embedding)
    assert torch.equal(pixels, before)


def test_texts_become_vectors_in_order(encoder):
    found = encoder.encode_texts(CAPTIONS)
    assert found.shape == (len(CAPTIONS), encoder.width)
    assert found.dtype == np.float32
    np.testing.assert_allclose(
        encoder.encode_texts(CAPTIONS[::-1])[::-1], found, rtol=1e-4, atol=1e-5
    )
    assert encoder.encode_texts([]).shape[0] == 0
