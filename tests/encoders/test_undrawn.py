"""A model that is built without drawing its weights is, once filled, the one that was drawn."""

from __future__ import annotations

import pytest
import torch

from cliplab.encoders.open_clip import _quietly
from cliplab.encoders.undrawn import UndrawnWeights


@pytest.mark.parametrize("kind", ["vit", "resnet", "timm", "siglip", "coca"])
def test_nothing_but_what_a_checkpoint_holds_is_left_out(tiny_folder, kind):
    import open_clip

    source = f"local-dir:{tiny_folder(kind)}"
    with _quietly():
        drawn = open_clip.create_model(source)
        with UndrawnWeights():
            filled = open_clip.create_model(source, load_weights=False)
    filled.load_state_dict(drawn.state_dict())
    # Masks and positions are among the buffers, which no checkpoint holds.
    assert tensors(filled.named_buffers()) == tensors(drawn.named_buffers())
    assert tensors(filled.named_parameters()) == tensors(drawn.named_parameters())


def tensors(named):
    """Bytes by name; open_clip leaves a weight of CoCa's decoder unset, so some may be NaN."""
    return {name: value.detach().numpy().tobytes() for name, value in named}


def test_no_random_number_is_drawn():
    before = torch.get_rng_state()
    with UndrawnWeights():
        torch.nn.Linear(3, 4)
        torch.nn.init.trunc_normal_(torch.empty(5))
    assert torch.equal(torch.get_rng_state(), before)
    torch.nn.Linear(3, 4)  # outside, weights are drawn again
    assert not torch.equal(torch.get_rng_state(), before)
