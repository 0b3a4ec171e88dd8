"""The folder of a tokenizer, and the `Tokenizer` that is read from it.

tokenizer.json           its sizes and how it was trained; format_version
tokenizer.safetensors    the weights
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cliplab.runtime.errors import DataError, UsageError
from cliplab.runtime.storage import read_json, write_json
from cliplab.tokenizers.config import Recipe
from cliplab.tokenizers.model import DVAE
from cliplab.tokenizers.objectives import objective
from cliplab.training.tensor_files import TensorFile, write_tensors

FORMAT_VERSION = 1
ABOUT, WEIGHTS = "tokenizer.json", "tokenizer.safetensors"


class Tokenizer:
    """An image tokenizer: 8-bit pictures of its size to a grid of integers and back."""

    def __init__(self, model: DVAE, recipe: Recipe, *, name: str, digest: str, device: str = "cpu"):
        self.model, self.recipe = model.eval().to(device), recipe
        self.name, self.digest, self.device = name, digest, device

    @property
    def codes(self) -> int:
        """K, the size of the vocabulary."""
        return self.model.quantizer.codes

    @property
    def grid(self) -> tuple[int, int]:
        """(h, w) tokens of a picture."""
        return self.model.config.grid(self.recipe.size, self.recipe.size)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the pictures that it takes."""
        return (self.recipe.channels, self.recipe.size, self.recipe.size)

    @property
    def identity(self) -> dict[str, Any]:
        """All that changes the tokens of a picture, in plain types."""
        return {"weights": self.digest, "recipe": self.recipe.as_json()}

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """Pictures (B, C, H, W) uint8 → tokens (B, h, w) int64 in 0..K-1, without noise.

        Raises
        ------
        UsageError
            If the pictures are not of the tokenizer's shape.
        """
        if pixels.dtype != np.uint8 or pixels.shape[1:] != self.shape:
            raise UsageError(
                f"{self.name} takes pictures of {self.shape} uint8, found {pixels.shape[1:]} "
                f"{pixels.dtype}."
            )
        values = torch.from_numpy(np.array(pixels)).to(self.device).float().div_(255)
        found: np.ndarray = self.model.encode(values).cpu().numpy()
        return found

    def decode(self, tokens: np.ndarray) -> np.ndarray:
        """Tokens (B, h, w) int64 in 0..K-1 → pictures (B, C, H, W) uint8.

        Raises
        ------
        UsageError
            If a token is none of the vocabulary, or the grid is another.
        """
        if tokens.shape[1:] != self.grid or tokens.min() < 0 or tokens.max() >= self.codes:
            raise UsageError(
                f"{self.name} takes grids of {self.grid} tokens in 0..{self.codes - 1}, found "
                f"{tokens.shape[1:]} in {tokens.min()}..{tokens.max()}."
            )
        outputs = self.model.decode(torch.from_numpy(np.ascontiguousarray(tokens)).to(self.device))
        pixels = objective(self.recipe.objective).picture(outputs)
        found: np.ndarray = pixels.mul(255).round_().to(torch.uint8).cpu().numpy()
        return found


def save_tokenizer(
    folder: Path, model: DVAE, recipe: Recipe, notes: Mapping[str, Any], *, half: bool = False
) -> None:
    """Write a tokenizer's folder; the weights come last, so that a folder that has them is whole.

    With `half` the weights are kept as float16, to ship them.
    """
    about = {"format_version": FORMAT_VERSION, "recipe": recipe.as_json(), **notes}
    state = {
        name: value.half() if half and value.is_floating_point() else value
        for name, value in model.state_dict().items()
    }
    write_json(folder / ABOUT, about)
    write_tensors(folder / WEIGHTS, state, {"format_version": FORMAT_VERSION})


def is_tokenizer(folder: Path) -> bool:
    """Tell whether a folder holds a whole tokenizer."""
    return (folder / ABOUT).is_file() and (folder / WEIGHTS).is_file()


def read_about(folder: Path) -> dict[str, Any]:
    """Give what the folder says of its tokenizer."""
    about: dict[str, Any] = read_json(folder / ABOUT, FORMAT_VERSION)
    return about


def read_tokenizer(folder: Path, *, name: str = "", device: str = "cpu") -> Tokenizer:
    """Read the tokenizer of a folder that `cliplab train tokenizer` made.

    Raises
    ------
    DataError
        If it holds none, is damaged, or its training was cut off.
    """
    if not is_tokenizer(folder):
        raise DataError(
            f"{folder} holds no whole tokenizer. If its training was cut off, run the same "
            "`cliplab train tokenizer` again to go on."
        )
    about = read_about(folder)
    try:
        recipe = Recipe(**{f.name: about["recipe"][f.name] for f in fields(Recipe)})
    except (KeyError, TypeError) as error:
        raise DataError(f"{folder / ABOUT} is no description of a tokenizer ({error}).") from error
    between = recipe.make_quantizer()
    model = DVAE(recipe.networks(between), between)
    state = dict(TensorFile(folder / WEIGHTS).tensors())
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise DataError(f"{folder / WEIGHTS} does not fit {ABOUT} ({error}).") from error
    with (folder / WEIGHTS).open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return Tokenizer(model, recipe, name=name or str(folder), digest=digest, device=device)
