"""Everything that draws, tiny and with random weights, as the trainings would leave it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from tests.cli.conftest import make_tiny
from tests.tiny_tokenizer import make_tokenizer

from cliplab.encoders.open_clip import load_encoder
from cliplab.priors.saved import save_prior
from cliplab.priors.transformer import PriorNetwork, PriorSizes
from cliplab.runtime import shipped
from cliplab.tokenizers.opening import load_tokenizer

CLASSES = ("alarm clock", "cat", "clock", "dog", "The Mona Lisa")


class Places(NamedTuple):
    """Folders laid out as those that come with the package."""

    root: Path

    @property
    def tokenizer(self) -> Path:
        return self.root / shipped.TOKENIZER

    @property
    def encoder(self) -> Path:
        return self.root / shipped.ENCODER

    @property
    def prior(self) -> Path:
        return self.root / shipped.PRIOR

    @property
    def masked(self) -> Path:
        return self.root / shipped.MASKED_PRIOR


def make_weights(root: Path, *, seed: int = 0) -> Places:
    """Write a tokenizer of 8x8 drawings, a CLIP, and a prior with each decoder."""
    places = Places(root)
    make_tokenizer(places.tokenizer, codes=16, seed=seed)
    make_tiny(places.encoder, seed=seed)
    for decoder, folder in (("autoregressive", places.prior), ("masked", places.masked)):
        make_prior(folder, places, decoder=decoder, seed=seed)
    return places


def make_prior(
    folder: Path,
    places: Places,
    *,
    decoder: str = "autoregressive",
    condition: str = "text",
    class_names: tuple[str, ...] = CLASSES,
    seed: int = 0,
    **notes: object,
) -> Path:
    """Write a prior of the places' tokenizer and encoder."""
    tokenizer = load_tokenizer(places.tokenizer)
    encoder = None if condition == "class" else load_encoder(places.encoder, device="cpu")
    sizes = PriorSizes(
        codes=tokenizer.codes,
        grid=tokenizer.grid,
        condition=encoder.width if encoder else len(class_names),
        width=16,
        layers=2,
        heads=2,
        decoder=decoder,
    )
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        network = PriorNetwork(sizes)
        torch.nn.init.normal_(network.head.weight)  # so that tokens depend on the condition
    about = {
        "condition": condition,
        "class_names": list(class_names),
        "tokenizer": tokenizer.identity,
        "encoder": encoder and encoder.identity,
        "prompts": ["a {}"],
        "losses": [3.5, 3.25],
        **notes,
    }
    save_prior(folder, network, sizes, about)
    return folder
