"""State dicts under OpenAI's names give the outputs that OpenAI's networks give."""

from __future__ import annotations

import pytest
import torch
from tests.tokenizers.original import drawn, run, shapes

from cliplab.runtime.errors import DataError
from cliplab.tokenizers.dvae import parameter_count
from cliplab.tokenizers.openai_weights import from_openai


@pytest.fixture(scope="module")
def states():
    encoder = drawn(shapes(3, (16, 16, 32, 64, 128), 64, (3, 3, 3, 1), 7), 0)
    decoder = drawn(shapes(64, (8, 128, 64, 32, 16), 6, (1, 3, 3, 3), 1), 1)
    return encoder, decoder


def test_outputs_agree(states):
    model = from_openai(*states)
    x = torch.rand(2, 3, 32, 16)
    torch.testing.assert_close(
        model.encoder(x), run(states[0], x, pooled=True), rtol=1e-5, atol=1e-5
    )
    z = torch.randn(2, 64, 4, 2).softmax(1)
    torch.testing.assert_close(
        model.decoder(z), run(states[1], z, pooled=False), rtol=1e-5, atol=1e-5
    )


def test_the_published_shapes_are_those_of_the_defaults():
    with torch.device("meta"):
        sizes = [
            shapes(3, (256, 256, 512, 1024, 2048), 8192, (3, 3, 3, 1), 7),
            shapes(8192, (128, 2048, 1024, 512, 256), 6, (1, 3, 3, 3), 1),
        ]
        model = from_openai(*({n: torch.empty(s) for n, s in size.items()} for size in sizes))
    assert round(parameter_count(model.encoder) / 1e6, 2) == 53.79
    assert round(parameter_count(model.decoder) / 1e6, 2) == 43.83
    assert model.config.stride == 8


def test_half_precision_is_widened(states):
    model = from_openai(*({n: t.half() for n, t in state.items()} for state in states))
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_a_foreign_name_is_named(states):
    with pytest.raises(DataError, match=r"decoder's state dict has 'layer1.weight'"):
        from_openai(states[0], {"layer1.weight": torch.zeros(1)})


def test_a_missing_tensor_is_named(states):
    encoder = {n: t for n, t in states[0].items() if n != "blocks.group_2.block_1.id_path.w"}
    with pytest.raises(DataError, match=r"groups.1.0.skip.weight missing in place of 32x16x1x1"):
        from_openai(encoder, states[1])


def test_an_empty_state_is_said_to_be_cut_short(states):
    with pytest.raises(DataError, match="cut short"):
        from_openai({}, states[1])
