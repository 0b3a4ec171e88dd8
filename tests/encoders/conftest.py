"""Tiny seeded models of each kind of tower, in folders that open_clip and cliplab both read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cliplab.encoders.trained import save_trained

TEXT = {"context_length": 12, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
VIT = {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16}
TIMM = {"timm_model_name": "test_vit", "timm_model_pretrained": False, "image_size": 160}
KINDS = {
    "vit": {"embed_dim": 24, "vision_cfg": VIT, "text_cfg": TEXT},
    "vit-quickgelu": {"embed_dim": 24, "quick_gelu": True, "vision_cfg": VIT, "text_cfg": TEXT},
    "resnet": {
        "embed_dim": 24,
        "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "head_width": 32},
        "text_cfg": TEXT,
    },
    "timm": {
        "embed_dim": 24,
        "vision_cfg": {**TIMM, "timm_pool": "avg", "timm_proj": "linear"},
        "text_cfg": TEXT,
    },
    "eva": {  # timm's own classifier projects, as in EVA, MobileCLIP and PE
        "embed_dim": 24,
        "vision_cfg": {**TIMM, "timm_pool": "token", "timm_proj": None},
        "text_cfg": TEXT,
    },
    "siglip": {
        "embed_dim": 64,
        "init_logit_bias": -10,
        "custom_text": True,
        "vision_cfg": {**TIMM, "timm_pool": "map", "timm_proj": "none"},
        "text_cfg": {**TEXT, "no_causal_mask": True, "pool_type": "last", "proj_bias": True},
    },
    "coca": {
        "embed_dim": 24,
        "custom_text": True,
        "multimodal_cfg": {
            "context_length": 12,
            "vocab_size": 49408,
            "width": 24,
            "heads": 2,
            "layers": 1,
        },
        "vision_cfg": {
            **VIT,
            "attentional_pool": True,
            "attn_pooler_heads": 2,
            "output_tokens": True,
        },
        "text_cfg": {**TEXT, "width": 24, "embed_cls": True, "output_tokens": True},
    },
}


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    """Folder of a tiny encoder of a kind; made once."""
    made: dict[str, Path] = {}

    def make(kind: str) -> Path:
        if kind not in made:
            made[kind] = _make(tmp_path_factory.mktemp(kind), KINDS[kind])
        return made[kind]

    return make


def _make(folder: Path, config: dict) -> Path:
    from cliplab.encoders.open_clip import _quietly

    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
    with _quietly(), torch.random.fork_rng():
        torch.manual_seed(0)
        import open_clip

        model = open_clip.create_model(f"local-dir:{folder}", load_weights=False)
        for parameter in model.parameters():  # some start as zeros, which would hide a fault
            if parameter.ndim == 1:
                parameter.data += 0.1 * torch.randn_like(parameter)
    preprocessing = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]}
    save_trained(folder, model.state_dict(), config, preprocessing, {"seed": 0})
    return folder


@pytest.fixture(scope="session")
def pictures() -> list[Image.Image]:
    """Three seeded RGB pictures of several sizes."""
    rng = np.random.default_rng(0)
    sizes = ((40, 60), (70, 33), (160, 160))
    return [Image.fromarray(rng.integers(0, 256, (h, w, 3), dtype=np.uint8)) for h, w in sizes]
