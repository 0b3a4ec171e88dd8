"""Embeddings are open_clip's own; features are what stands before the projection."""

from __future__ import annotations

import open_clip
import pytest
import torch

from cliplab.encoders.open_clip import load_encoder

CAPTIONS = ["a dog", "a diagram of a cat"]


@pytest.fixture
def pair(tiny_folder, pictures):
    """The encoder, open_clip's own model of the same folder, and a batch of pictures."""

    def load(kind):
        folder = tiny_folder(kind)
        encoder = load_encoder(folder, device="cpu")
        model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}")
        return encoder, model.eval(), torch.stack([transform(picture) for picture in pictures])

    return load


KINDS = ("vit", "vit-quickgelu", "resnet", "timm", "eva", "siglip", "coca")


@pytest.mark.parametrize("kind", KINDS)
def test_vectors_are_those_of_open_clip(pair, pictures, kind):
    encoder, model, pixels = pair(kind)
    tokens = open_clip.tokenize(CAPTIONS, context_length=12)
    with torch.inference_mode():
        images = model.encode_image(pixels, normalize=False)  # CoCa normalises otherwise
        texts = model.encode_text(tokens, normalize=False)
    found = encoder.encode_pixels(pixels).embedding
    torch.testing.assert_close(found, images, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(torch.tensor(encoder.encode_texts(CAPTIONS)), texts)
    torch.testing.assert_close(torch.tensor(encoder.encode_images(pictures)), images)
    assert encoder.width == images.shape[1]
    assert encoder.logit_scale == pytest.approx(model.logit_scale.detach().exp().item())


@pytest.mark.parametrize("kind", ["vit", "vit-quickgelu"])
def test_features_of_a_vision_transformer_are_its_class_token(pair, kind):
    encoder, model, pixels = pair(kind)
    seen = []
    model.visual.ln_post.register_forward_hook(lambda *call: seen.append(call[2]))
    with torch.inference_mode():
        model.encode_image(pixels)
    features = encoder.encode_pixels(pixels).features
    token = seen[0][:, 0] if seen[0].ndim == 3 else seen[0]
    torch.testing.assert_close(features, token, rtol=1e-6, atol=1e-6)
    assert features.shape[1] == encoder.feature_width == 64


def test_features_of_a_resnet_are_its_attention_pool_before_c_proj(pair):
    encoder, model, pixels = pair("resnet")
    pool, seen = model.visual.attnpool, []
    pool.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.inference_mode():
        model.encode_image(pixels)
        features = encoder.encode_pixels(pixels).features
        # Attention of the mean over the grid, written out.
        grid = seen[0].flatten(2).permute(0, 2, 1)  # (B, h*w, F)
        grid = torch.cat([grid.mean(dim=1, keepdim=True), grid], 1) + pool.positional_embedding
        q, k, v = (
            part(grid).unflatten(2, (pool.num_heads, -1)).transpose(1, 2)
            for part in (pool.q_proj, pool.k_proj, pool.v_proj)
        )
        weights = (q[:, :, :1] @ k.transpose(2, 3) / q.shape[-1] ** 0.5).softmax(-1)
        expected = (weights @ v)[:, :, 0].flatten(1)
    torch.testing.assert_close(features, expected)
    assert features.shape[1] == encoder.feature_width == 256


def test_features_of_a_timm_tower_are_its_trunk(pair):
    encoder, model, pixels = pair("timm")
    with torch.inference_mode():
        torch.testing.assert_close(
            encoder.encode_pixels(pixels).features, model.visual.trunk(pixels)
        )
    assert encoder.feature_width == 64


def test_features_of_eva_stand_before_timm_s_own_classifier(pair):
    encoder, model, pixels = pair("eva")
    found, trunk = encoder.encode_pixels(pixels), model.visual.trunk
    with torch.inference_mode():
        before = trunk.forward_head(trunk.forward_features(pixels), pre_logits=True)
        torch.testing.assert_close(found.features, before)
        torch.testing.assert_close(trunk.get_classifier()(found.features), found.embedding)
    assert encoder.feature_width == 64


def test_features_of_coca_stand_before_its_projection(pair):
    encoder, model, pixels = pair("coca")
    found = encoder.encode_pixels(pixels)
    with torch.inference_mode():
        projected = found.features @ model.visual.proj
        torch.testing.assert_close(projected, model.visual(pixels)[0])
    assert encoder.feature_width == model.visual.proj.shape[0]


def test_a_tower_without_a_projection_says_that_it_has_one_output(pair):
    encoder, model, pixels = pair("siglip")
    assert encoder.encode_pixels(pixels).features is None
    assert encoder.feature_width is None
    assert encoder.identity["features"] == "none: one output"
    assert encoder.logit_bias == pytest.approx(model.logit_bias.item())
