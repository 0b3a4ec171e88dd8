"""A tiny tokenizer with random weights, as `cliplab train tokenizer` would leave it."""

from __future__ import annotations

from pathlib import Path

import torch

from cliplab.tokenizers.config import TokenizerConfig, resolve
from cliplab.tokenizers.model import DVAE
from cliplab.tokenizers.saved import save_tokenizer


def make_tokenizer(
    folder: Path,
    *,
    size: int = 8,
    channels: int = 1,
    codes: int = 64,
    quantizer: str = "vq",
    seed: int = 0,
) -> Path:
    """Write its folder; a token stands for 2x2 pixels."""
    config = TokenizerConfig(
        size=size,
        channels=channels,
        codes=codes,
        groups=2,
        width=8,
        blocks=1,
        quantizer=quantizer,
        steps=10,
        device="cpu",
    )
    recipe = resolve(config, size, channels == 1)
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        between = recipe.make_quantizer()
        model = DVAE(recipe.networks(between), between)
        torch.nn.init.normal_(model.decoder.head.weight)  # so that pictures are not all grey
    save_tokenizer(folder, model, recipe, {"n_train": 0, "losses": [1.0], "skipped": []})
    return folder
