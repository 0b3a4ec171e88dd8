"""The folder of a recogniser, and the `DrawingRecognizer` that is read from it.

recognizer.json           its sizes, its classes and how it was trained; format_version
recognizer.safetensors    the weights
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cliplab.recognizers.network import RecognizerNetwork
from cliplab.runtime.errors import DataError, UsageError
from cliplab.runtime.storage import read_json, write_json
from cliplab.training.tensor_files import TensorFile, write_tensors

FORMAT_VERSION = 1
ABOUT, WEIGHTS = "recognizer.json", "recognizer.safetensors"
BATCH = 256  # pictures seen at once


class DrawingRecognizer:
    """A classifier of 8-bit pictures of one size; obeys the contract of `nouns.Recognizer`."""

    def __init__(
        self,
        network: RecognizerNetwork,
        shape: tuple[int, int, int],
        class_names: tuple[str, ...],
        *,
        name: str,
        digest: str,
        device: str = "cpu",
    ):
        self.network = network.eval().to(device)
        self.shape, self.class_names = shape, class_names
        self.name, self.digest, self.device = name, digest, device

    @property
    def identity(self) -> dict[str, Any]:
        """All that changes its answers, in plain types."""
        return {
            "weights": self.digest,
            "shape": list(self.shape),
            "class_names": list(self.class_names),
        }

    @torch.no_grad()
    def scores(self, pixels: np.ndarray) -> np.ndarray:
        """Pictures (B, C, H, W) uint8 → log-probabilities (B, classes) float32.

        Raises
        ------
        UsageError
            If the pictures are not of the recogniser's shape.
        """
        return self._over(pixels, lambda x: self.network(x).log_softmax(1), len(self.class_names))

    @torch.no_grad()
    def features(self, pixels: np.ndarray) -> np.ndarray:
        """Pictures (B, C, H, W) uint8 → features (B, F) float32, before the last layer.

        Raises
        ------
        UsageError
            If the pictures are not of the recogniser's shape.
        """
        return self._over(pixels, self.network.features, self.network.head.in_features)

    def _over(self, pixels: np.ndarray, function: Any, width: int) -> np.ndarray:
        if pixels.dtype != np.uint8 or pixels.shape[1:] != self.shape:
            raise UsageError(
                f"{self.name} takes pictures of {self.shape} uint8, found {pixels.shape[1:]} "
                f"{pixels.dtype}."
            )
        found = np.empty((len(pixels), width), dtype=np.float32)
        for start in range(0, len(pixels), BATCH):
            part = torch.from_numpy(np.array(pixels[start : start + BATCH])).to(self.device)
            found[start : start + BATCH] = function(part.float().div_(255)).cpu().numpy()
        return found


def save_recognizer(
    folder: Path,
    network: RecognizerNetwork,
    sizes: Mapping[str, Any],
    notes: Mapping[str, Any],
) -> None:
    """Write a recogniser's folder; the weights come last, so that a folder that has them is whole.

    `sizes` are `shape`, `width` and `class_names`.
    """
    write_json(folder / ABOUT, {"format_version": FORMAT_VERSION, **sizes, **notes})
    write_tensors(folder / WEIGHTS, network.state_dict(), {"format_version": FORMAT_VERSION})


def is_recognizer(folder: Path) -> bool:
    """Tell whether a folder holds a whole recogniser."""
    return (folder / ABOUT).is_file() and (folder / WEIGHTS).is_file()


def read_about(folder: Path) -> dict[str, Any]:
    """Give what the folder says of its recogniser."""
    about: dict[str, Any] = read_json(folder / ABOUT, FORMAT_VERSION)
    return about


def load_recognizer(folder: str | Path, *, device: str = "cpu") -> DrawingRecognizer:
    """Read the recogniser of a folder that `train_recognizer` made.

    Raises
    ------
    DataError
        If it holds none, is damaged, or its training was cut off.
    """
    place = Path(folder)
    if not is_recognizer(place):
        raise DataError(f"{place} holds no whole recogniser; train it again to go on.")
    about = read_about(place)
    try:
        channels, height, width = about["shape"]
        names = tuple(about["class_names"])
        shape = (channels, height, width)
        network = RecognizerNetwork(shape, about["width"], len(names))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{place / ABOUT} is no description of a recogniser ({error}).") from error
    try:
        network.load_state_dict(dict(TensorFile(place / WEIGHTS).tensors()))
    except RuntimeError as error:
        raise DataError(f"{place / WEIGHTS} does not fit {ABOUT} ({error}).") from error
    with (place / WEIGHTS).open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return DrawingRecognizer(network, shape, names, name=str(place), digest=digest, device=device)
