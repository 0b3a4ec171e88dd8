"""A toy data set out of archives of the web: `toy` stands for `toy/red` and `toy/blue`."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np

from cliplab.datasets.archived import ArchivePictures
from cliplab.datasets.entry import CatalogueEntry
from cliplab.nouns import Card, Dataset, Query, Task
from cliplab.runtime.archives import Refused, list_members
from cliplab.runtime.downloads import Remote
from cliplab.runtime.errors import DataError

CLASSES = ("cat", "dog", "owl")
FILES = {"toy/red": "red.zip", "toy/blue": "blue.tgz"}


def picture(seed: int, side: int = 8) -> bytes:
    from PIL import Image

    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def contents_of(name: str, count: int = 40, side: int = 8) -> dict[str, bytes]:
    """Pictures by path: one cut short, one a web page, one not of the lists."""
    first = 1000 * list(FILES).index(name)
    colour = name.partition("/")[2]
    found = {
        f"{colour}/{CLASSES[i % 3]}/{i:04d}.jpg": picture(first + i, side) for i in range(count)
    }
    names = list(found)
    found[names[4]] = found[names[4]][:-100]
    found[names[9]] = b"<!DOCTYPE html><html>302 Found</html>"
    return found | {f"{colour}/removed.jpg": b"removed from the lists"}


def zipped(contents) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return stream.getvalue()


def tarred(contents) -> bytes:
    """A tar.gz whose bytes depend on its contents alone: gzip would put the time in."""
    stream = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=stream, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def archives(count: int = 40, side: int = 8) -> dict[str, bytes]:
    """The two archives by file name."""
    return {
        "red.zip": zipped(contents_of("toy/red", count, side)),
        "blue.tgz": tarred(contents_of("toy/blue", count, side)),
    }


class Toy:
    """The member; it keeps the contract of `FromArchives`."""

    def __init__(self, remotes: dict[str, Remote], count: int = 40) -> None:
        self._remotes, self._count = remotes, count
        self.ENTRIES = tuple(
            CatalogueEntry(name, f"The {name} pictures.", {"animal": 3}, count, {}, "CC0", None)
            for name in FILES
        )

    def parts(self, name: str) -> tuple[str, ...]:
        return tuple(FILES) if name == "toy" else (name,) if name in FILES else ()

    def card(self, name: str) -> Card:
        return Card(f"The {name} pictures.", "CC0 1.0", "@misc{toy}", "https://example.org")

    def remotes(self, name: str) -> tuple[Remote, ...]:
        return (self._remotes[FILES[name]],)

    def open_entry(self, name: str, *, home: Path) -> Dataset:
        raise DataError(f"{name} is not here; run `cliplab prepare {name}`.")

    def read_archives(self, name: str, files) -> Dataset:
        path = files[FILES[name]]
        members = list_members(path).by_name()
        members.pop(f"{name.partition('/')[2]}/removed.jpg")
        wanted = [*members, f"{name.partition('/')[2]}/cat/9999.jpg"]
        rows = [members.get(id_, Refused(id_, "not in the archive")) for id_ in wanted]
        labels = np.array([CLASSES.index(id_.split("/")[1]) for id_ in wanted])
        splits = [("train", "train", "test")[i % 3] for i in range(len(wanted))]
        return Dataset(
            name=name,
            tasks={"animal": Task("animal", CLASSES)},
            ids=np.array(wanted, dtype=object),
            labels={"animal": labels},
            splits={"animal": np.array(splits, dtype=object)},
            digests=np.full(len(wanted), "", dtype=object),
            source=ArchivePictures(rows, {path.name: path}),
            card=self.card(name),
            queries=(Query("cat_1", wanted[0], (1.5, 2, 3, 4), (wanted[3],), (), (wanted[6],)),),
        )
