"""Drawings of many classes, drawn one class after another and kept in a folder as they are made.

    drawer.json             who draws, and how many of a class; format_version
    drawings/CLASS/00.png   the drawings

The folder `drawings` is a data set like any other. A class is there as a whole or not at all, so
that what was killed goes on with the next class.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cliplab.drawing_requests import DrawConfig, folder_name
from cliplab.report.blocks import plain
from cliplab.runtime.errors import DataError, UsageError
from cliplab.runtime.progress import say
from cliplab.runtime.storage import (
    locked,
    make_folder,
    read_json,
    storage_faults,
    write_bytes,
    write_json,
)

FORMAT_VERSION = 1
PROMPT = "a {}"
ABOUT, DRAWINGS = "drawer.json", "drawings"
AT_ONCE = 16  # pictures that go through a tokenizer


class Drawer(Protocol):
    """What draws pictures of a class; the same every time it is asked."""

    name: str

    @property
    def identity(self) -> Mapping[str, Any]:
        """All that changes the drawings, in plain types: weights, settings, seed."""
        ...

    @property
    def class_names(self) -> tuple[str, ...]:
        """What it can draw."""
        ...

    @property
    def losses(self) -> tuple[float, ...]:
        """Of its training, by epoch, nats a token; empty: not known."""
        ...

    def draw(self, class_name: str, n: int) -> np.ndarray:
        """(n, C, H, W) uint8 of one class."""
        ...

    def through_tokenizer(self, pixels: np.ndarray) -> np.ndarray | None:
        """Pictures as its tokenizer keeps them, (M, C, H, W) uint8; None: it takes no such ones."""
        ...


class PriorDrawer:
    """A prior as what draws: each class by a prompt, at the settings given, the best of none.

    Parameters
    ----------
    config
        Prior, guidance, seed and the like; drawings are not chosen among (no `rerank`).
    prompt
        What it is asked, `{}` for the class.

    Raises
    ------
    UsageError
        A prompt without a place for the class, or settings that are not those of a drawing of a
        class.
    CliplabError
        As `drawing.open_artist` raises.
    """

    def __init__(self, config: DrawConfig, prompt: str = PROMPT) -> None:
        from cliplab.drawing import open_artist

        if "{}" not in prompt:
            raise UsageError(
                f"--prompt {prompt!r}: put {{}} where the class stands, as {PROMPT!r}."
            )
        if config.rerank or config.to or config.complete:
            raise UsageError("Drawings are measured as they come, without rerank, to or complete.")
        self.config, self.prompt = config, prompt
        self.artist = open_artist(config)
        self.name = self.artist.prior.name

    @property
    def identity(self) -> Mapping[str, Any]:
        """Weights, sampling, prompt and seed, and the kind of device that draws."""
        prior, tokenizer, encoder = self.artist
        return {
            "prior": dict(prior.identity),
            "tokenizer": tokenizer.digest,
            "encoder": None if encoder is None else encoder.identity.get("weights"),
            "sampling": asdict(self.config.sampling()),
            "prompt": self.prompt,
            "seed": self.config.seed,
            "device": prior.device.partition(":")[0],
        }

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes that the prior learned."""
        return self.artist.prior.class_names

    @property
    def losses(self) -> tuple[float, ...]:
        """Of the prior's training, by epoch, nats a token."""
        return tuple(self.artist.prior.about.get("losses", ()))

    def draw(self, class_name: str, n: int) -> np.ndarray:
        """(n, C, H, W) uint8 of one class, in the tones of the data set."""
        from cliplab.drawing import draw

        return draw(self.prompt.replace("{}", class_name), n, self.config, self.artist).pixels

    def through_tokenizer(self, pixels: np.ndarray) -> np.ndarray | None:
        """Pictures as the prior's tokenizer keeps them; None: they are of another shape."""
        tokenizer = self.artist.tokenizer
        if pixels.shape[1:] != tokenizer.shape:
            return None
        parts = [pixels[i : i + AT_ONCE] for i in range(0, len(pixels), AT_ONCE)]
        return np.concatenate([tokenizer.decode(tokenizer.encode(part)) for part in parts])


def is_drawn(name: str) -> bool:
    """Tell whether a name means drawings that are there already, and not a prior that draws."""
    from cliplab.priors.saved import ABOUT as OF_A_PRIOR
    from cliplab.runtime.shipped import NAME as QUICKDRAW

    place = Path(name).expanduser()
    if place.is_dir():
        return not (place / OF_A_PRIOR).is_file()
    return name != QUICKDRAW


def keep_drawings(drawer: Drawer, class_names: Sequence[str], n: int, folder: Path) -> Path:
    """Draw n of each class into a folder, those classes that are not there yet.

    Parameters
    ----------
    drawer
        Who draws.
    class_names
        What is drawn.
    n
        Of each.
    folder
        Of the run; the drawings lie in `drawings` below it.

    Returns
    -------
    Path
        The folder of the drawings.

    Raises
    ------
    UsageError
        It holds drawings by another, or of another number.
    DataError
        What comes is not n pictures.
    """
    about = plain({"drawer": drawer.name, "identity": drawer.identity, "n": n})
    place = make_folder(folder / DRAWINGS)
    with locked(place, lambda: say(f"Waiting for another process that draws into {folder} …")):
        _check(folder / ABOUT, about)
        missing = [name for name in class_names if not (place / folder_name(name)).is_dir()]
        if missing:
            there = f" ({len(class_names) - len(missing)} are there)" * (missing != [*class_names])
            say(f"{drawer.name} draws {n} of each of {len(missing)} classes{there}.")
        for name in missing:
            _keep(drawer.draw(name, n), n, place / folder_name(name))
    return place


def _check(path: Path, about: Mapping[str, Any]) -> None:
    if path.is_file():
        noted = read_json(path, FORMAT_VERSION)
        if {**noted, "format_version": None} != {**about, "format_version": None}:
            raise UsageError(
                f"{path.parent} holds drawings by {noted.get('drawer')!r} with other settings. "
                "Give another folder with --out DIR, or remove it."
            )
    else:
        write_json(path, {"format_version": FORMAT_VERSION, **about})


def _keep(pictures: np.ndarray, n: int, folder: Path) -> None:
    """Write the drawings of a class; their folder appears when it is whole."""
    if len(pictures) != n or pictures.dtype != np.uint8 or pictures.ndim != 4:
        raise DataError(
            f"{n} pictures of {folder.name!r} were asked for, (n, C, H, W) of uint8; found "
            f"{pictures.shape} of {pictures.dtype}."
        )
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    digits = len(str(n - 1))
    for number, pixels in enumerate(pictures):
        write_bytes(part / f"{number:0{digits}d}.png", _png(pixels))
    with storage_faults(folder):
        part.rename(folder)


def _png(pixels: np.ndarray) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    shown = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
    Image.fromarray(np.ascontiguousarray(shown)).save(stream, format="PNG")
    return stream.getvalue()
