"""Tokenizers by name: a folder that was trained, one of OpenAI's files, `quickdraw`, `openai`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cliplab.runtime.devices import choose_device
from cliplab.runtime.errors import UnknownName
from cliplab.runtime.shipped import NAME as QUICKDRAW
from cliplab.runtime.shipped import TOKENIZER, shipped
from cliplab.runtime.storage import home as home_of
from cliplab.tokenizers.published import NAME as OPENAI
from cliplab.tokenizers.published import fetch_published, is_published, read_published
from cliplab.tokenizers.saved import Tokenizer, read_tokenizer


def named_tokenizers() -> dict[str, str]:
    """Give what has a name of its own, and what it is."""
    return {
        QUICKDRAW: "comes with cliplab: drawings of 28 x 28 pixels, 49 tokens of 512 codes",
        OPENAI: "DALL-E's, as OpenAI published it; downloaded once, some 390 MB",
    }


def load_tokenizer(
    name: str | Path,
    *,
    size: int | None = None,
    device: str = "cpu",
    home: Path | None = None,
) -> Tokenizer:
    """Give a tokenizer by the name that a user gives it.

    Parameters
    ----------
    name
        An existing folder first: one that `cliplab train tokenizer` made, or one with OpenAI's
        `encoder.pkl` and `decoder.pkl`. Then `quickdraw`, which comes with cliplab, and `openai`,
        which is downloaded once.
    size
        Pixels of a side of the pictures that it is to take; any that its stride divides, since its
        networks are convolutions. Default: what it was trained at (`openai`: 256).
    device
        "auto", "cpu", "cuda", "cuda:1", "mps".
    home
        Folder of what is kept between runs; None: `CLIPLAB_HOME`.

    Returns
    -------
    Tokenizer
        It obeys the contract of `nouns.ImageTokenizer`.

    Raises
    ------
    UnknownName
        There is no such folder, and no tokenizer of that name.
    UsageError
        A size that its stride does not divide; the message gives the nearest.
    DataError
        The folder holds no whole tokenizer, or its training was cut off.
    DownloadFailed
        It is not here and not to be had.
    """
    tokenizer = _named(name, choose_device(device), home)
    if size is None:
        return tokenizer
    tokenizer.model.config.grid(size, size)  # refuses what cannot be
    tokenizer.recipe = replace(tokenizer.recipe, size=size)
    return tokenizer


def _named(name: str | Path, device: str, home: Path | None) -> Tokenizer:
    folder = Path(name).expanduser()
    if folder.is_dir():
        if is_published(folder):
            return read_published(folder, name=str(name), device=device)
        return read_tokenizer(folder, device=device)
    if str(name) == OPENAI:
        return read_published(fetch_published(home_of(home)), name=OPENAI, device=device)
    if str(name) == QUICKDRAW:
        return read_tokenizer(shipped(TOKENIZER), name=QUICKDRAW, device=device)
    raise UnknownName(
        "tokenizer", str(name), named_tokenizers(), hint="(nor is there a folder of that name)"
    )
