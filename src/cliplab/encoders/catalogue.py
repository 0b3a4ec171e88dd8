"""What there is: what comes with cliplab, and each published ARCH/TAG of open_clip, with its size.

The sizes are kept in `architectures.tsv` beside this file, so that listing them imports neither
torch nor open_clip. `python -m cliplab.encoders.catalogue` writes that table anew from the
open_clip that is installed.
"""

from __future__ import annotations

import csv
import io
from functools import cache
from pathlib import Path
from typing import NamedTuple

from cliplab.encoders import published
from cliplab.runtime.errors import UnknownName
from cliplab.runtime.shipped import ENCODER, NAME, WEIGHTS

TABLE = Path(__file__).with_name("architectures.tsv")


class EncoderEntry(NamedTuple):
    """An encoder that has a name."""

    name: str  # `quickdraw` or ARCH/TAG, as `load_encoder` takes it
    parameters: int | None  # of both towers; None: the text tower's size is known to a hub alone
    width: int  # D, of the joint space
    resolution: int  # pixels of a side
    activation: str  # "gelu" or "quick_gelu": the one that the weights want
    cached: bool  # whether the weights are on this machine


class Row(NamedTuple):
    """A line of `architectures.tsv`; `parameters` empty is not known."""

    name: str
    parameters: str
    width: str
    resolution: str
    activation: str
    hf_hub: str  # repository and file, as open_clip writes them
    url: str  # elsewhere than on the hub; may be empty


SHIPPED = EncoderEntry(NAME, 455_325, width=64, resolution=64, activation="gelu", cached=True)
"""The CLIP of drawings; of its table of tokens the rows in use are counted."""


def list_encoders(filter: str | None = None) -> list[EncoderEntry]:
    """List the encoder that comes with cliplab, then the published ones in open_clip's order.

    The names with `-quickgelu` that open_clip has besides are left out: they are the same weights,
    and the activation follows the weights here (`load_encoder` takes those names too).

    Parameters
    ----------
    filter
        A part of the name, in upper or lower case.

    Raises
    ------
    UnknownName
        No name has that part; the closest are named.
    """
    wanted = (filter or "").casefold()
    found = [SHIPPED._replace(cached=(WEIGHTS / ENCODER).is_dir())] if wanted in NAME else []
    found += [_entry(row) for row in _table() if wanted in row.name.casefold()]
    if not found:
        raise UnknownName("encoder", filter or "", [NAME, *(row.name for row in _table())])
    return found


def _entry(row: Row) -> EncoderEntry:
    settings = {"hf_hub": row.hf_hub, "url": row.url}
    return EncoderEntry(
        name=row.name,
        parameters=int(row.parameters) if row.parameters else None,
        width=int(row.width),
        resolution=int(row.resolution),
        activation=row.activation,
        cached=published.cached_weights(settings) is not None,
    )


@cache
def _table() -> tuple[Row, ...]:
    with TABLE.open(encoding="utf-8", newline="") as stream:
        lines = csv.reader(stream, delimiter="\t")
        assert tuple(next(lines)) == Row._fields
        return tuple(Row(*line) for line in lines)


# ------------------------------------------------------------------------- writing it anew


def published_rows(*, counted: bool = True) -> list[Row]:
    """Rows of the table by the open_clip that is installed.

    Parameters
    ----------
    counted
        Count the parameters, by building each architecture without memory (about a minute);
        else they stay empty.
    """
    import open_clip

    pairs = open_clip.list_pretrained()
    rows = []
    for architecture, tag in pairs:
        if (architecture.removesuffix("-quickgelu"), tag) in pairs and "-quickgelu" in architecture:
            continue
        config = open_clip.get_model_config(architecture)
        settings = open_clip.get_pretrained_cfg(architecture, tag)
        quick = published.wants_quick_gelu(settings, config)
        side = config["vision_cfg"].get("image_size", 224)
        rows.append(
            Row(
                name=f"{architecture}/{tag}",
                parameters=_parameters(architecture) if counted else "",
                width=str(config["embed_dim"]),
                resolution=str(side[0] if isinstance(side, list | tuple) else side),
                activation="quick_gelu" if quick else "gelu",
                hf_hub=settings.get("hf_hub", ""),
                url=settings.get("url", ""),
            )
        )
    return rows


@cache
def _parameters(architecture: str) -> str:
    """Count the parameters on the meta device; empty where a hub would have to be asked."""
    import open_clip
    import torch

    if "hf_model_name" in open_clip.get_model_config(architecture)["text_cfg"]:
        return ""
    with torch.device("meta"):
        model = open_clip.create_model(
            architecture, load_weights=False, pretrained_text=False, device="meta"
        )
    return str(sum(parameter.numel() for parameter in model.parameters()))


def _write() -> None:
    from cliplab.runtime.storage import write_bytes

    text = io.StringIO()
    lines = csv.writer(text, delimiter="\t", lineterminator="\n")
    lines.writerow(Row._fields)
    lines.writerows(published_rows())
    write_bytes(TABLE, text.getvalue().encode())


if __name__ == "__main__":
    _write()
