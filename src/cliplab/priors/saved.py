"""The folder of a prior, and the `SavedPrior` that is read from it.

prior.json           its sizes, what it was trained on and how; format_version
prior.safetensors    the weights
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cliplab.encoders.undrawn import UndrawnWeights
from cliplab.nouns import digest_of
from cliplab.priors.config import CLASS
from cliplab.priors.likelihood import bits_of
from cliplab.priors.sampling import Sampling, sample
from cliplab.priors.transformer import PriorNetwork, PriorSizes
from cliplab.runtime.errors import DataError, UsageError
from cliplab.runtime.storage import read_json, write_json
from cliplab.training.tensor_files import TensorFile, write_tensors

FORMAT_VERSION = 1
ABOUT, WEIGHTS = "prior.json", "prior.safetensors"


class SavedPrior:
    """A prior: conditions to grids of tokens, and how likely a grid is. Obeys `nouns.Prior`."""

    def __init__(
        self,
        network: PriorNetwork,
        about: Mapping[str, Any],
        *,
        name: str,
        digest: str,
        device: str = "cpu",
    ):
        self.network = network.eval().requires_grad_(False).to(device)
        self.about, self.name, self.digest, self.device = about, name, digest, device

    def __repr__(self) -> str:
        (h, w), sizes = self.grid, self.sizes
        return (
            f"<{self.name}: {sizes.decoder}, {h}x{w} of {sizes.codes} codes, by {self.condition}>"
        )

    @property
    def sizes(self) -> PriorSizes:
        """All that fixes the shapes."""
        return self.network.sizes

    @property
    def codes(self) -> int:
        """K, the size of the vocabulary."""
        return self.sizes.codes

    @property
    def grid(self) -> tuple[int, int]:
        """(h, w) tokens of a drawing."""
        return self.sizes.grid

    @property
    def width(self) -> int:
        """E, of a condition."""
        return self.sizes.condition

    @property
    def condition(self) -> str:
        """What it was trained by: text, image or class."""
        return str(self.about["condition"])

    @property
    def class_names(self) -> tuple[str, ...]:
        """The C classes that it learned; none of drawings without classes."""
        return tuple(self.about["class_names"])

    @property
    def tokenizer(self) -> Mapping[str, Any]:
        """Identity of the tokenizer whose tokens it learned."""
        found: Mapping[str, Any] = self.about["tokenizer"]
        return found

    @property
    def encoder(self) -> Mapping[str, Any] | None:
        """Identity of the encoder whose vectors are its conditions; None: classes are."""
        found: Mapping[str, Any] | None = self.about["encoder"]
        return found

    @property
    def prompts(self) -> tuple[str, ...]:
        """The templates (or captions) that it was trained with, `{}` for the class."""
        return tuple(self.about["prompts"])

    @cached_property
    def identity(self) -> dict[str, Any]:
        """All that changes its drawings, in plain types."""
        return {"weights": self.digest, "sizes": _as_json(self.sizes), "condition": self.condition}

    def of_classes(self, names: tuple[str, ...] | list[str]) -> np.ndarray:
        """Conditions (n, E) float32 of classes, of a prior that was trained by class.

        Raises
        ------
        UsageError
            It was trained by something else.
        UnknownName
            A class that it has not learned.
        """
        from cliplab.runtime.errors import UnknownName

        if self.condition != CLASS:
            raise UsageError(f"{self.name} is asked by {self.condition}, not by class.")
        known = {name: number for number, name in enumerate(self.class_names)}
        for name in names:
            if name not in known:
                raise UnknownName("class", name, known)
        return np.eye(self.width, dtype=np.float32)[[known[name] for name in names]]

    def sample(
        self,
        condition: np.ndarray,
        settings: Sampling | None = None,
        *,
        seed: int,
        first: int = 0,
        kept: np.ndarray | None = None,
    ) -> np.ndarray:
        """Draw tokens (B, h, w) int64 in 0..K-1 for conditions (B, E) float32.

        Parameters
        ----------
        condition
            Unit vectors of the encoder's (`encoder`), or rows of the identity (`of_classes`).
        settings
            Temperature, guidance and the like. Default: `Sampling()`.
        seed, first
            Row b's draw depends on the seed and on `first` + b alone.
        kept
            (B, h, w) int64, tokens that stay; -1: to be drawn.

        Raises
        ------
        UsageError
            Conditions of another width, or tokens that are none of its grid.
        """
        self._check(condition)
        given = None if kept is None else torch.from_numpy(self._flat(kept, least=-1))
        tokens = sample(
            self.network,
            torch.from_numpy(np.ascontiguousarray(condition, dtype=np.float32)).to(self.device),
            settings or Sampling(),
            seed=seed,
            first=first,
            kept=None if given is None else given.to(self.device),
        )
        return np.asarray(tokens.cpu().numpy().reshape(-1, *self.grid), dtype=np.int64)

    def bits(self, tokens: np.ndarray, condition: np.ndarray) -> np.ndarray:
        """Bits (B,) float64 that tokens (B, h, w) take under conditions (B, E).

        Of a masked decoder an upper bound (`likelihood.bits_of`).
        """
        self._check(condition)
        self._flat(tokens, least=0)
        return bits_of(self.network, tokens, condition.astype(np.float32), device=self.device)

    def _check(self, condition: np.ndarray) -> None:
        if condition.ndim != 2 or condition.shape[1] != self.width:
            raise UsageError(
                f"{self.name} takes conditions (B, {self.width}), found {condition.shape}. It was "
                f"trained by {self.condition}; its encoder must be the one that it is asked with."
            )

    def _flat(self, tokens: np.ndarray, *, least: int) -> np.ndarray:
        """(B, h, w) → (B, T) int64, refused where it is no grid of this prior's."""
        fits = tokens.ndim == 3 and tokens.shape[1:] == self.grid
        if not fits or (tokens.size and not least <= tokens.min() <= tokens.max() < self.codes):
            raise UsageError(
                f"{self.name} takes grids of {self.grid} tokens in {least}..{self.codes - 1}, "
                f"found {tokens.shape[1:]}"
                + (f" in {tokens.min()}..{tokens.max()}." if tokens.size else ".")
            )
        return np.ascontiguousarray(tokens.reshape(len(tokens), -1), dtype=np.int64)


def refuse_misfit(prior: SavedPrior, tokenizer: Any) -> None:
    """Raise `UsageError` where a tokenizer (`nouns.ImageTokenizer`) is not the prior's own."""
    if (tokenizer.codes, tokenizer.grid) != (prior.codes, prior.grid):
        raise UsageError(
            f"{prior.name} draws grids of {prior.grid} tokens of {prior.codes} codes; "
            f"{tokenizer.name} reads {tokenizer.grid} of {tokenizer.codes}. Give the tokenizer "
            "that the prior was trained with."
        )
    if digest_of(dict(prior.tokenizer)) != digest_of(dict(tokenizer.identity)):
        raise UsageError(
            f"{prior.name} was trained on the tokens of another tokenizer than {tokenizer.name}: "
            "the sizes are the same, but not the weights. Give the one that it was trained with."
        )


def save_prior(
    folder: Path,
    network: PriorNetwork,
    sizes: PriorSizes,
    notes: Mapping[str, Any],
    *,
    half: bool = False,
) -> None:
    """Write a prior's folder; the weights come last, so that a folder that has them is whole.

    Parameters
    ----------
    folder
        Where.
    network, sizes
        The weights, and what fixes their shapes.
    notes
        condition, class_names, tokenizer, encoder, prompts; and whatever else is to be told.
    half
        Keep the weights as float16, to ship them.
    """
    about = {"format_version": FORMAT_VERSION, "sizes": _as_json(sizes), **notes}
    state = {
        name: value.half() if half and value.is_floating_point() else value
        for name, value in network.state_dict().items()
    }
    write_json(folder / ABOUT, about)
    write_tensors(folder / WEIGHTS, state, {"format_version": FORMAT_VERSION})


def _as_json(sizes: PriorSizes) -> dict[str, Any]:
    return {**asdict(sizes), "grid": list(sizes.grid)}


def is_prior(folder: Path) -> bool:
    """Tell whether a folder holds a whole prior."""
    return (folder / ABOUT).is_file() and (folder / WEIGHTS).is_file()


def read_about(folder: Path) -> dict[str, Any]:
    """Give what the folder says of its prior."""
    about: dict[str, Any] = read_json(folder / ABOUT, FORMAT_VERSION)
    return about


def read_prior(folder: Path, *, device: str = "cpu") -> SavedPrior:
    """Read the prior of a folder that `cliplab train prior` made.

    Raises
    ------
    DataError
        If it holds none, is damaged, or its training was cut off.
    FormatTooNew
        A newer cliplab wrote it.
    """
    if not is_prior(folder):
        raise DataError(
            f"{folder} holds no whole prior. If its training was cut off, run the same `cliplab "
            "train prior` again to go on."
        )
    about = read_about(folder)
    try:
        given = {f.name: about["sizes"][f.name] for f in fields(PriorSizes)}
        sizes = PriorSizes(**{**given, "grid": tuple(given["grid"])})
        for name in ("condition", "class_names", "tokenizer", "encoder", "prompts"):
            about[name]
    except (KeyError, TypeError, UsageError) as error:
        raise DataError(f"{folder / ABOUT} is no description of a prior ({error}).") from error
    with UndrawnWeights():
        network = PriorNetwork(sizes)
    state = {name: value.float() for name, value in TensorFile(folder / WEIGHTS).tensors()}
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise DataError(f"{folder / WEIGHTS} does not fit {ABOUT} ({error}).") from error
    with (folder / WEIGHTS).open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return SavedPrior(network, about, name=str(folder), digest=digest, device=device)
