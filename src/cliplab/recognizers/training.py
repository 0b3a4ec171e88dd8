"""Training a recogniser on labelled pictures, by the loop that everything trained here uses."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from cliplab.nouns import Pixels
from cliplab.recognizers.network import RecognizerNetwork
from cliplab.recognizers.saved import is_recognizer, read_about, save_recognizer
from cliplab.runtime.devices import choose_device
from cliplab.runtime.errors import DataError, UsageError
from cliplab.runtime.progress import say
from cliplab.runtime.storage import locked, sweep_parts
from cliplab.training.averages import averaged
from cliplab.training.checkpoints import refuse_changes
from cliplab.training.loop import LoopConfig, step_seed, train, whole_batch

UNDER_WAY = "training"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognizerConfig:
    """How a recogniser is made and trained."""

    width: int = 24  # of the first convolution
    steps: int = 1_000  # updates; a minute of a core for 28 pixels; more is a little better
    batch_size: int = 64  # pictures of an update
    lr: float = 3e-3  # the highest step size
    shift: float = 0.07  # pictures are moved by up to this share of a side each way
    seed: int = 0  # of weights, order and what is drawn
    device: str = "auto"

    def __post_init__(self) -> None:
        faults = [
            f"{name} {value}: give {wanted}."
            for name, value, fine, wanted in (
                ("width", self.width, self.width >= 8 and self.width % 8 == 0, "a multiple of 8"),
                ("steps", self.steps, self.steps >= 1, "1 or more"),
                ("batch_size", self.batch_size, self.batch_size >= 2, "2 or more"),
                ("lr", self.lr, 0 < self.lr < math.inf, "a positive number"),
                ("shift", self.shift, 0 <= self.shift < 1, "a share of 0 or more, below 1"),
                ("seed", self.seed, self.seed >= 0, "0 or more"),
            )
            if not fine
        ]
        if faults:
            raise UsageError(" ".join(faults))


def train_recognizer(
    pixels: Pixels,
    labels: np.ndarray,
    class_names: Sequence[str],
    config: RecognizerConfig | None = None,
    out: str | Path = "recognizer",
    *,
    content: str,
) -> Path:
    """Train a recogniser; killed and run again, it goes on to the same weights.

    Parameters
    ----------
    pixels
        N training pictures.
    labels
        (N,) int64 in 0..C-1, of the pictures in their places.
    class_names
        C names, at least two.
    config
        Default: `RecognizerConfig()`.
    out
        Folder of the recogniser; `load_recognizer(out)` reads it.
    content
        Names what it is trained on, such as `Dataset.content_digest()`: a folder with a recogniser
        of other pictures is refused.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    DataError
        Fewer than two pictures or classes.
    UsageError
        `out` holds a recogniser of other pictures or settings.
    CliplabError
        The training diverged.
    """
    config, folder = config or RecognizerConfig(), Path(out)
    if len(labels) < 2 or len(class_names) < 2:
        raise DataError(
            f"A recogniser learns from two classes and two pictures or more, not {len(labels)} "
            f"pictures of {len(class_names)} classes."
        )
    settings = {name: value for name, value in asdict(config).items() if name != "device"}
    sizes = {
        "shape": list(pixels.shape),
        "width": config.width,
        "class_names": list(class_names),
    }
    identity = {"content": content, **sizes, **settings}
    with locked(folder / UNDER_WAY, lambda: say(f"Waiting for another training in {folder} …")):
        sweep_parts(folder)
        if is_recognizer(folder):
            refuse_changes(folder, read_about(folder)["identity"], identity)
        else:
            _train(pixels, labels, config, folder, sizes, identity)
    return folder


def _train(
    pixels: Pixels,
    labels: np.ndarray,
    config: RecognizerConfig,
    folder: Path,
    sizes: Mapping[str, Any],
    identity: Mapping[str, Any],
) -> None:
    device = choose_device(config.device)
    n, batch_size = len(labels), min(config.batch_size, len(labels))
    with torch.random.fork_rng([]):
        torch.manual_seed(config.seed)
        network = RecognizerNetwork(pixels.shape, config.width, len(sizes["class_names"]))
    network.to(device)

    def loss(batch: tuple[np.ndarray, np.ndarray]) -> torch.Tensor:
        seen, truth = batch
        x = torch.from_numpy(seen).to(device).float().div_(255)
        y = torch.from_numpy(truth).to(device)
        return functional.cross_entropy(network(x), y, label_smoothing=0.1)

    done = train(
        network,
        _batches(pixels, labels, batch_size, config),
        whole_batch(loss),
        LoopConfig(
            steps=config.steps,
            steps_per_epoch=max(1, n // batch_size),
            batch_size=batch_size,
            lr=config.lr,
            warmup=0.1,
            average=0.99,
            weight_decay=1e-2,
            betas=(0.9, 0.99),
            seed=config.seed,
        ),
        folder=folder / UNDER_WAY,
        identity=identity,
    )
    with averaged(network, done.average):
        losses = [round(value, 6) for value in done.losses]
        notes = {"identity": dict(identity), "n_train": n, "losses": losses}
        save_recognizer(folder, network, sizes, notes)
    shutil.rmtree(folder / UNDER_WAY, ignore_errors=True)


def _batches(
    pixels: Pixels, labels: np.ndarray, batch_size: int, config: RecognizerConfig
) -> Callable[[int], Generator[tuple[np.ndarray, np.ndarray], None, None]]:
    """From a step to the batches from that step on; an epoch is a permutation by seed and epoch."""
    per_epoch = max(1, len(labels) // batch_size)
    most = round(config.shift * min(pixels.shape[1:]))

    def source(step: int) -> Generator[tuple[np.ndarray, np.ndarray], None, None]:
        while True:
            epoch = step // per_epoch
            order = np.random.default_rng([config.seed, epoch]).permutation(len(labels))
            while step // per_epoch == epoch:
                start = step % per_epoch * batch_size
                places = order[start : start + batch_size]
                generator = np.random.default_rng(step_seed(config.seed, step))
                yield shifted(pixels.read(places), most, generator), labels[places]
                step += 1

    return source


def shifted(pictures: np.ndarray, most: int, generator: np.random.Generator) -> np.ndarray:
    """Move each picture (B, C, H, W) by up to `most` pixels; what enters repeats the edge."""
    if most == 0:
        return np.array(pictures)
    height, width = pictures.shape[2:]
    wide = np.pad(pictures, ((0, 0), (0, 0), (most, most), (most, most)), mode="edge")
    found = np.empty(pictures.shape, dtype=pictures.dtype)
    moves = generator.integers(0, 2 * most + 1, (len(pictures), 2))
    for number, (down, right) in enumerate(moves.tolist()):
        found[number] = wide[number, :, down : down + height, right : right + width]
    return found
