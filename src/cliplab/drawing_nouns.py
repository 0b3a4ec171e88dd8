"""The types that cross a boundary on the way from pixels to drawings; `nouns` has them too.

Letters: B batch, C channels, H W pixels, K codes of a vocabulary, h w a grid of tokens, E width of
a condition, F width of features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np


class Pixels(Protocol):
    """8-bit pictures of one size, read by their place; never all at once."""

    @property
    def rows(self) -> np.ndarray:
        """(N,) int64, the data set's rows of the pictures, in the order of their places."""
        ...

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of each picture."""
        ...

    def read(self, places: Sequence[int] | np.ndarray) -> np.ndarray:
        """(n, C, H, W) uint8 of these places, in that order."""
        ...


@runtime_checkable
class ImageTokenizer(Protocol):
    """8-bit pictures of one size ⇄ grids of integers, with its own preprocessing.

    `identity` is a mapping of plain types that names all that changes the tokens.
    """

    name: str

    @property
    def identity(self) -> Mapping[str, Any]:
        """Weights digest and recipe."""
        ...

    @property
    def codes(self) -> int:
        """K, the size of the vocabulary."""
        ...

    @property
    def grid(self) -> tuple[int, int]:
        """(h, w) tokens of a picture."""
        ...

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the pictures that it takes and gives."""
        ...

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """Pictures (B, C, H, W) uint8 → tokens (B, h, w) int64 in 0..K-1, without noise."""
        ...

    def decode(self, tokens: np.ndarray) -> np.ndarray:
        """Tokens (B, h, w) int64 in 0..K-1 → pictures (B, C, H, W) uint8."""
        ...


@runtime_checkable
class Prior(Protocol):
    """What is drawn, as a vector → which tokens the drawing has.

    `identity` is a mapping of plain types that names all that changes what is drawn.
    """

    name: str

    @property
    def identity(self) -> Mapping[str, Any]:
        """Weights digest, sizes, kind of condition."""
        ...

    @property
    def codes(self) -> int:
        """K, the size of the vocabulary."""
        ...

    @property
    def grid(self) -> tuple[int, int]:
        """(h, w) tokens of a drawing."""
        ...

    @property
    def width(self) -> int:
        """E, of a condition."""
        ...

    @property
    def condition(self) -> str:
        """What it was trained by: "text", "image" (asked with texts), or "class"."""
        ...

    @property
    def class_names(self) -> tuple[str, ...]:
        """The C classes that it learned; none of drawings without classes."""
        ...

    @property
    def tokenizer(self) -> Mapping[str, Any]:
        """Identity of the tokenizer whose tokens it learned."""
        ...

    @property
    def encoder(self) -> Mapping[str, Any] | None:
        """Identity of the encoder whose unit vectors are its conditions; None: classes are."""
        ...

    def sample(
        self,
        condition: np.ndarray,
        settings: Any = None,
        *,
        seed: int,
        first: int = 0,
        kept: np.ndarray | None = None,
    ) -> np.ndarray:
        """Conditions (B, E) float32 → tokens (B, h, w) int64 in 0..K-1.

        Row b depends on the seed and on `first` + b alone; `kept` (B, h, w) int64 holds tokens that
        stay, and -1 elsewhere.
        """
        ...

    def bits(self, tokens: np.ndarray, condition: np.ndarray) -> np.ndarray:
        """Bits (B,) float64 that tokens (B, h, w) take under conditions (B, E)."""
        ...


@runtime_checkable
class Recognizer(Protocol):
    """A classifier of small pictures that scores what is drawn: reconstructions and samples."""

    name: str
    class_names: tuple[str, ...]  # C names
    shape: tuple[int, int, int]  # (C, H, W) of the pictures that it takes

    @property
    def identity(self) -> Mapping[str, Any]:
        """All that changes its answers, in plain types."""
        ...

    def scores(self, pixels: np.ndarray) -> np.ndarray:
        """Pictures (B, C, H, W) uint8 → log-probabilities (B, classes) float32."""
        ...

    def features(self, pixels: np.ndarray) -> np.ndarray:
        """Pictures (B, C, H, W) uint8 → features (B, F) float32 of the layer before the last."""
        ...
