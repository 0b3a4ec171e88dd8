"""DALL-E's networks: the published sizes, what a block computes, and what is refused."""

from __future__ import annotations

import pytest
import torch

from cliplab.runtime.errors import UsageError
from cliplab.tokenizers.dvae import (
    DecoderNetwork,
    DVAEConfig,
    EncoderNetwork,
    ResidualBlock,
    on_rows,
    parameter_count,
    same_convolution,
)

TINY = DVAEConfig(channels=1, codes=16, width=8, code_width=4, groups=2, blocks=1, outputs=1)


def _on_meta(config: DVAEConfig) -> tuple[EncoderNetwork, DecoderNetwork]:
    with torch.device("meta"):
        return EncoderNetwork(config), DecoderNetwork(config)


@pytest.mark.parametrize(
    ("settings", "encoder", "decoder"),
    [
        ({}, 53.79, 43.83),
        ({"channels": 1, "width": 128, "outputs": 2}, 17.65, 11.83),
        ({"channels": 1, "width": 64, "outputs": 2}, 6.52, 3.79),
        ({"channels": 1, "width": 64, "codes": 1024, "groups": 3, "outputs": 2}, 0.84, 0.83),
    ],
)
def test_parameters_are_as_many_as_published(settings, encoder, decoder):
    networks = _on_meta(DVAEConfig(**settings))
    assert round(parameter_count(networks[0]) / 1e6, 2) == encoder
    assert round(parameter_count(networks[1]) / 1e6, 2) == decoder


@pytest.mark.parametrize("groups", [2, 3, 4])
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes_follow_the_stride(groups, channels):
    config = DVAEConfig(
        channels=channels,
        codes=16,
        width=8,
        code_width=4,
        groups=groups,
        blocks=1,
        outputs=channels,
    )
    height, width = 3 * config.stride, 2 * config.stride
    logits = EncoderNetwork(config)(torch.rand(2, channels, height, width))
    assert logits.shape == (2, 16, 3, 2)
    assert config.grid(height, width) == (3, 2)
    assert DecoderNetwork(config)(logits.softmax(1)).shape == (2, channels, height, width)


def test_a_block_adds_a_small_part_of_its_body():
    block = ResidualBlock(8, 8, (3, 3, 3, 1), gain=1 / 64)
    x = torch.randn(1, 8, 5, 5)
    torch.testing.assert_close(block(x), x + block.body(x) / 64)
    assert [layer.kernel_size[0] for layer in block.body if hasattr(layer, "kernel_size")] == [
        3,
        3,
        3,
        1,
    ]


def test_weights_are_drawn_with_the_variance_of_their_inputs():
    torch.manual_seed(0)
    encoder = EncoderNetwork(DVAEConfig(channels=3, codes=64, width=64, groups=2))
    weight = encoder.groups[1][0].body[1].weight
    assert weight.std().item() == pytest.approx(1 / (64 * 9) ** 0.5, rel=0.05)
    assert encoder.stem.bias.abs().max().item() == 0.0


def test_a_code_looked_up_is_the_stem_on_its_one_hot():
    torch.manual_seed(0)
    decoder = DecoderNetwork(TINY)
    torch.nn.init.normal_(decoder.stem.bias)
    tokens = torch.randint(0, 16, (2, 3, 3))
    one_hot = torch.nn.functional.one_hot(tokens, 16).permute(0, 3, 1, 2).float()
    torch.testing.assert_close(decoder.vectors_of(tokens), decoder.stem(one_hot))


def test_the_head_keeps_float32_under_autocast():
    encoder = EncoderNetwork(TINY)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert encoder(torch.rand(1, 1, 4, 4)).dtype == torch.float32


def test_a_size_that_cannot_be_divided_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match="take 32x24"):
        DVAEConfig().grid(30, 26)


def test_all_wrong_sizes_are_named_at_once():
    with pytest.raises(UsageError, match=r"channels 2.*width 6.*groups 5: give 2 to 4"):
        DVAEConfig(channels=2, width=6, groups=5)


def test_a_convolution_of_single_pixels_is_a_product_of_matrices():
    torch.manual_seed(0)
    convolution = same_convolution(5, 7, 1).double()
    torch.nn.init.normal_(convolution.bias)
    rows = torch.randn(11, 5, dtype=torch.float64)
    torch.testing.assert_close(
        on_rows(convolution, rows), convolution(rows[:, :, None, None])[:, :, 0, 0]
    )
