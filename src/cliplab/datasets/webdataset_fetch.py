"""`wds:URL` and `wds:NAME`: a collection in CLIP_benchmark's layout comes here, tar by tar."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cliplab.datasets.webdataset import (
    CARD,
    CLASS_NAMES,
    N_SHARDS,
    TEMPLATES,
    TYPE,
    open_webdataset,
)
from cliplab.nouns import Dataset
from cliplab.runtime.downloads import Remote, fetch, web_client
from cliplab.runtime.errors import DataError, DownloadFailed, UsageError
from cliplab.runtime.patience import Patience
from cliplab.runtime.progress import say
from cliplab.runtime.storage import read_json, write_json
from cliplab.runtime.transfer import Unavailable, stated_size

if TYPE_CHECKING:
    import httpx

WDS = "wds:"
HUB = "https://huggingface.co/datasets/clip-benchmark/wds_{}/resolve/main"
WHOLE = "whole.json"  # written last, so that where it is all is there
FORMAT_VERSION = 1
MOST_SHARDS = 100_000
_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)*")


def open_wds(
    spec: str, *, home: Path, offline: bool = False, patience: Patience | None = None
) -> Dataset:
    """Open `wds:FOLDER`, `wds:URL` or `wds:NAME`, the last two by way of a download.

    `wds:imagenet1k` and `wds:vtab/cifar10` are the collections of CLIP_benchmark on the Hugging
    Face hub. What is downloaded lies below `home/archives/wds`, is gone on with after a cut, and is
    not asked for again once it is whole.

    Parameters
    ----------
    spec
        As on the command line.
    home
        Folder of what is kept between runs.
    offline
        Whether nothing may be downloaded.
    patience
        How long to keep trying to download.

    Raises
    ------
    UsageError
        If it is none of these.
    DownloadFailed
        If a file is not to be had.
    DataError
        As `open_webdataset` does.
    """
    text = spec.removeprefix(WDS)
    folder = Path(text).expanduser() if text and "://" not in text else None
    if folder is not None and os.path.isdir(folder):  # noqa: PTH112 (never raises)
        return open_webdataset(folder, name=spec, home=home)
    url = address_of(text)
    place = folder_of(url, home)
    if not (place / WHOLE).is_file():
        if offline:
            raise DownloadFailed(f"{spec} is not here, and --offline allows no download ({url}).")
        _fetch_all(url, place, patience or Patience())
    read_json(place / WHOLE, FORMAT_VERSION)
    dataset = open_webdataset(place, name=spec, home=home, card=replace(CARD, homepage=url))
    return replace(dataset, location=None)


def address_of(text: str) -> str:
    """Give the address of a collection that is named by it, or by its name on the hub.

    >>> address_of("vtab/cifar10")
    'https://huggingface.co/datasets/clip-benchmark/wds_vtab-cifar10/resolve/main'
    >>> address_of("https://huggingface.co/datasets/a/b/tree/main/")
    'https://huggingface.co/datasets/a/b/resolve/main'
    """
    if re.match(r"https?://", text):
        return re.sub(
            r"(/datasets/[^/]+/[^/]+)/(?:tree|blob|raw)/", r"\1/resolve/", text.rstrip("/")
        )
    if not _NAME.fullmatch(text):
        raise UsageError(
            f"wds:{text}: there is no such folder, and it is no address or name. Write wds:FOLDER, "
            "wds:https://… or the name of a collection, as in wds:imagenet1k or wds:vtab/cifar10."
        )
    return HUB.format(text.removeprefix("wds/").replace("/", "-"))


def folder_of(url: str, home: Path) -> Path:
    """Where what is downloaded from an address lies."""
    stem = re.sub(r"/resolve/[^/]+$", "", url).rpartition("/")[2]
    stem = re.sub(r"[^\w.-]+", "-", stem).strip(".-") or "collection"
    return home / "archives" / "wds" / f"{stem}-{hashlib.sha256(url.encode()).hexdigest()[:8]}"


def _fetch_all(url: str, place: Path, patience: Patience) -> None:
    """Fetch the small files, then the tars of each split that is there."""
    say(f"Fetching {url} → {place}")
    with web_client(patience) as client:
        files = [
            f
            for f in (CLASS_NAMES, TEMPLATES, TYPE)
            if _fetch_if_there(client, url, f, place, patience)
        ]
        splits = [
            s
            for s in ("train", "val", "test")
            if _fetch_if_there(client, url, f"{s}/{N_SHARDS}", place, patience)
        ]
        if not splits:
            raise DataError(
                f"{url} has neither test/{N_SHARDS} nor train/{N_SHARDS}; expected the layout of "
                "CLIP_benchmark. Is it the folder that holds them?"
            )
        for split in splits:
            for number in range(_count(place / split / N_SHARDS)):
                _fetch(client, url, f"{split}/{number}.tar", place, patience)
    write_json(
        place / WHOLE, {"format_version": FORMAT_VERSION, "url": url, "files": [*files, *splits]}
    )


def _count(path: Path) -> int:
    text = path.read_text(encoding="utf-8", errors="replace").strip()
    if not text.isdecimal() or not 0 < int(text) <= MOST_SHARDS:
        raise DataError(
            f"{path} holds {text[:40]!r}; expected the number of tars. If the source has been "
            f"mended, remove {path.parent.parent} and run the same command again."
        )
    return int(text)


def _fetch_if_there(
    client: httpx.Client, url: str, file: str, place: Path, patience: Patience
) -> bool:
    """Fetch a file that need not exist; False where the server says that it does not."""
    if not (place / file).is_file():
        try:
            stated_size(client, f"{url}/{file}", file)
        except Unavailable as error:
            if re.match(r"answers (404|410)\b", str(error)):
                return False
    _fetch(client, url, file, place, patience)
    return True


def _fetch(client: httpx.Client, url: str, file: str, place: Path, patience: Patience) -> None:
    folder, name = (place / file).parent, Path(file).name
    try:
        fetch(Remote(name, (f"{url}/{file}",)), folder, patience=patience, client=client)
    except DownloadFailed as error:
        raise DownloadFailed(
            f"{error}\nA collection that was fetched by other means is read as wds:FOLDER."
        ) from error
