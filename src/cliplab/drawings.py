"""Drawings: what was drawn and how, to look at, and as files that are a data set."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from cliplab.metrics.reconstruction import strokes_are_dark
from cliplab.pictures.grid import Row, in_rows, save_picture, written_as
from cliplab.runtime.errors import UsageError
from cliplab.runtime.storage import (
    locked,
    make_folder,
    read_json,
    sweep_parts,
    write_bytes,
    write_json,
)

FORMAT_VERSION = 1
RECORD = (
    "drawings.json"  # of a folder of drawings: what each of its folders is, and how it was made
)


class Reranked(NamedTuple):
    """The drawings of one text by how well an encoder finds that they go with it.

    Scores are cosines of picture and text in the encoder's joint space.
    """

    encoder: str
    without: tuple[float, ...]  # of the first n drawn: what there would be without reranking
    with_: tuple[float, ...]  # of the n that are given, best first
    drawn: tuple[int, ...]  # which they are, of all that were drawn, from 0

    def as_json(self) -> dict[str, Any]:
        """Give it as plain types, with the means."""
        return {
            "encoder": self.encoder,
            "mean_without": sum(self.without) / len(self.without),
            "mean_with": sum(self.with_) / len(self.with_),
            "without": list(self.without),
            "with": list(self.with_),
            "drawn": list(self.drawn),
        }


@dataclass(frozen=True, slots=True)
class Group:
    """The drawings of one text (or on the way from one to another)."""

    text: str  # as it was asked for
    name: str  # of its folder: the class, where it names one; else the text
    words: str  # what the encoder read
    tokens: np.ndarray  # (n, h, w) int64
    pixels: np.ndarray  # (n, C, H, W) uint8, as the tokenizer's pictures are
    reranked: Reranked | None = None  # None: in the order in which they were drawn


@dataclass(frozen=True, slots=True)
class Drawings:
    """Drawings of one or several texts; a notebook shows them.

    `pixels` have the tones of the pictures that the tokenizer learned, so that what is written as a
    folder is of the data set's own kind; what is shown is ink on white paper.
    """

    groups: tuple[Group, ...]  # one a text, in the order asked
    seed: int  # of what was drawn by chance: the same seed, the same drawings
    settings: Mapping[str, Any]  # prior, tokenizer, encoder, sampling: all that made them

    def __len__(self) -> int:
        return sum(len(group.pixels) for group in self.groups)

    def __repr__(self) -> str:
        told = ", ".join(f"{len(group.pixels)} of {group.text!r}" for group in self.groups)
        return f"Drawings({told}; seed {self.seed})"

    @property
    def pixels(self) -> np.ndarray:
        """(N, C, H, W) uint8, text after text."""
        return np.concatenate([group.pixels for group in self.groups])

    @property
    def tokens(self) -> np.ndarray:
        """(N, h, w) int64, text after text."""
        return np.concatenate([group.tokens for group in self.groups])

    @property
    def texts(self) -> tuple[str, ...]:
        """N texts: what each was drawn for."""
        return tuple(group.text for group in self.groups for _ in group.pixels)

    @property
    def scores(self) -> np.ndarray | None:
        """(N,) float64 cosines of picture and text, if they were reranked."""
        found = [group.reranked.with_ for group in self.groups if group.reranked]
        return np.concatenate(found) if found else None

    def grid(self, scale: int | None = None) -> Image.Image:
        """All of them as ink on white, those of a text together; `scale` pixels a pixel."""
        titled = len(self.groups) > 1
        ends = np.cumsum([len(group.pixels) for group in self.groups])
        pictures = np.split(ink_on_white(self.pixels), ends[:-1])
        rows = zip(self.groups, pictures, strict=True)
        return in_rows([Row(group.text if titled else "", part) for group, part in rows], scale)

    def save(self, path: str | Path, *, scale: int | None = None) -> Path:
        """Write a grid (a name with a picture's suffix), or a folder that is a data set.

        A folder gets `<class or text>/<number>.png` and `drawings.json`, which says how they were
        made. Drawings that were written there before are replaced class by class.

        Parameters
        ----------
        path
            File or folder.
        scale
            Pixels a side that a pixel becomes. Default: of a grid as many as make a drawing 64
            pixels, in a folder 1, which is the data set's own size.

        Raises
        ------
        UsageError
            A suffix that is no picture's, a scale below 1, or a folder of that name holds other
            files.
        """
        out = Path(path).expanduser()
        check_out(out, scale)
        if is_folder(out):
            write_folder(out, self, scale or 1)
        else:
            save_picture(out, self.grid(scale))
        return out

    def as_json(self) -> dict[str, Any]:
        """Tell what was drawn and how, in plain types; without the pictures."""
        texts = [
            {
                "text": group.text,
                "name": group.name,
                "words": group.words,
                "n": len(group.pixels),
                "reranked": group.reranked.as_json() if group.reranked else None,
            }
            for group in self.groups
        ]
        return {"seed": self.seed, "settings": dict(self.settings), "texts": texts}

    def _repr_png_(self) -> bytes:
        return _png(self.grid())

    def _repr_html_(self) -> str:
        told = html.escape(", ".join(dict.fromkeys(self.texts)))
        picture = base64.b64encode(self._repr_png_()).decode()
        return (
            f'<figure style="margin:0"><img alt="{told}" src="data:image/png;base64,{picture}">'
            f"<figcaption>{len(self)} drawings of {told} (seed {self.seed})</figcaption></figure>"
        )


def ink_on_white(pixels: np.ndarray) -> np.ndarray:
    """Give drawings (N, C, H, W) uint8 as ink on white paper; those in colour stay as they are."""
    if pixels.shape[1] != 1 or strokes_are_dark(pixels.mean(axis=0, dtype=np.float32)):
        return pixels
    return 255 - pixels


# ------------------------------------------------------------------------------- as files


def is_folder(out: Path) -> bool:
    """Tell whether `--out` means a folder: one that is there, or a name without a suffix."""
    return out.is_dir() or not out.suffix


def check_out(out: Path, scale: int | None = None) -> None:
    """Refuse what cannot be written before anything is drawn; see `Drawings.save`."""
    if scale is not None and scale < 1:
        raise UsageError(f"--scale {scale}: give 1 or more pixels a pixel.")
    if not is_folder(out):
        written_as(out)


def write_folder(folder: Path, drawings: Drawings, scale: int) -> None:
    """Write drawings as a data set; see `Drawings.save`.

    The record comes first, so that what a killed run leaves is known to be ours.
    """
    make_folder(folder)
    with locked(folder / RECORD):
        before = _read_record(folder)
        entries = dict(_entries(drawings, scale))
        stale = {}
        for name, entry in entries.items():
            there = before.get(name, {}).get("files", [])
            _check_ours(folder / name, there)
            stale[name] = sorted(set(there) - set(entry["files"]))
        mixed = {
            name: {**entry, "files": entry["files"] + stale[name]}
            for name, entry in entries.items()
        }
        _write_record(folder, {**before, **mixed})
        for name, entry in entries.items():
            for file in stale[name]:
                (folder / name / file).unlink(missing_ok=True)
            sweep_parts(folder / name)
            groups = [group for group in drawings.groups if group.name == name]
            pictures = np.concatenate([group.pixels for group in groups])
            for file, pixels in zip(entry["files"], pictures, strict=True):
                write_bytes(folder / name / file, _png(_picture(pixels, scale)))
        if any(stale.values()):
            _write_record(folder, {**before, **entries})


def _read_record(folder: Path) -> dict[str, Any]:
    path = folder / RECORD
    found: dict[str, Any] = read_json(path, FORMAT_VERSION)["folders"] if path.is_file() else {}
    return found


def _write_record(folder: Path, folders: Mapping[str, Any]) -> None:
    write_json(folder / RECORD, {"format_version": FORMAT_VERSION, "folders": folders})


def _entries(drawings: Drawings, scale: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give what the record says of each folder; texts of one class share one."""
    told = drawings.as_json()
    names = list(dict.fromkeys(group.name for group in drawings.groups))
    for name in names:
        texts = [text for text in told["texts"] if text["name"] == name]
        n = sum(text["n"] for text in texts)
        files = [f"{number:0{len(str(n - 1))}}.png" for number in range(n)]
        yield name, {**told, "texts": texts, "scale": scale, "files": files}


def _check_ours(folder: Path, files: Sequence[str]) -> None:
    """Refuse to write among files that are none of ours, which an evaluation would count too."""
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if others := sorted(name for name in there - set(files) if not name.startswith(".")):
        raise UsageError(
            f"{folder} holds files that are no drawings of this command ({', '.join(others[:3])}). "
            "Give another folder with --out DIR."
        )


def _picture(pixels: np.ndarray, scale: int) -> Image.Image:
    large = np.ascontiguousarray(pixels.repeat(scale, axis=1).repeat(scale, axis=2))
    return Image.fromarray(large[0] if len(large) == 1 else large.transpose(1, 2, 0))


def _png(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format="PNG")
    return stream.getvalue()
