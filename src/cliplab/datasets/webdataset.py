"""`wds:FOLDER`: pictures in CLIP_benchmark's WebDataset layout, read out of the tars as they lie.

    classnames.txt                            a class a line, in the order of the labels
    zeroshot_classification_templates.txt     a caption template a line, `{c}` stands for the class
    dataset_type.txt                          "retrieval": captions in place of classes
    test/nshards.txt, test/0.tar, …           and the same for train

A tar holds members that share a key: `s0000000.webp` (or png, jpg) with `s0000000.cls`, the label
as text, or `s0000000.txt`, a caption a line. Nothing is unpacked; a member is read where it stands.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from cliplab.datasets.archived import ArchivePictures
from cliplab.datasets.index import cached_digests
from cliplab.datasets.splits import settled, split_named
from cliplab.datasets.tree import walk
from cliplab.nouns import CAPTIONS_ALONE, UNLABELLED, Card, Dataset, Prompts, Task
from cliplab.runtime.archives import (
    Member,
    Refused,
    TarStream,
    list_members,
    open_tar,
    read_tar_member,
)
from cliplab.runtime.errors import DataError, Faults
from cliplab.runtime.progress import progress, say

CLASS_NAMES, TEMPLATES = "classnames.txt", "zeroshot_classification_templates.txt"
TYPE, N_SHARDS = "dataset_type.txt", "nshards.txt"
TASK = "label"
PICTURES = ("webp", "png", "jpg", "jpeg")  # as CLIP_benchmark reads them, the first that is there
LABEL, CAPTIONS, NOTES = "cls", "txt", "json"
MOST_TEXT = 1 << 20  # bytes of a label or caption
CARD = Card(description="A collection in the WebDataset layout of CLIP_benchmark.")


class _Shard(NamedTuple):
    """One tar."""

    path: Path
    split: str  # train, validation or test
    name: str  # "test/0.tar"


class _Sample(NamedTuple):
    """One picture with what is said of it."""

    id: str  # "test/0/s0000000.webp"
    picture: Member | Refused
    label: int
    captions: tuple[str, ...]


def open_webdataset(folder: Path, *, name: str, home: Path, card: Card = CARD) -> Dataset:
    """Open a folder in CLIP_benchmark's layout.

    The class names and templates of its files become those of the task; names that stand twice get
    a number behind them, and keep their prompts. With `retrieval` in `dataset_type.txt`, or with
    captions and no labels, the pictures have captions alone (`nouns.CAPTIONS_ALONE`).

    Parameters
    ----------
    folder
        Where the files lie.
    name
        As the user calls the data set.
    home
        Folder of what is kept between runs; the pictures' digests go there.
    card
        Where it comes from.

    Raises
    ------
    DataError
        If there are no shards, or some of them are missing; if a tar is damaged, or a label is no
        number of a class; if the collection has several labels a picture.
    """
    kind = _text(folder / TYPE).strip().lower()
    if kind == "multilabel":
        raise DataError(
            f"{folder} has several labels a picture (multilabel in {TYPE}); here a picture has one "
            "class at most."
        )
    shards = _shards(folder)
    samples: list[_Sample] = []
    with progress("indexing", len(shards), unit="tars") as advance:
        for shard in shards:
            samples += _samples(shard)
            advance(1)
    if not samples:
        raise DataError(f"{folder} has no picture in its tars; expected {', '.join(PICTURES)}.")
    ids = np.array([sample.id for sample in samples], dtype=object)
    labels = np.array([sample.label for sample in samples], dtype=np.int64)
    captions = [sample.captions for sample in samples] if any(s.captions for s in samples) else None
    if kind == "retrieval" or (captions and (labels == UNLABELLED).all()):
        task, labels = CAPTIONS_ALONE, np.full(len(samples), UNLABELLED, dtype=np.int64)
    else:
        task = _task(folder, labels, samples)
    of_shard = {shard.name: shard.split for shard in shards}
    given = np.array([of_shard[_archive(sample)] for sample in samples], dtype=object)
    divided = settled(given, ids, labels if task.class_names else labels + 1)
    source = ArchivePictures(
        [sample.picture for sample in samples], {shard.name: shard.path for shard in shards}
    )
    return Dataset(
        name=name,
        tasks={task.name: task},
        ids=ids,
        labels={task.name: labels},
        splits={task.name: divided.splits},
        digests=_digests(folder, home, samples, source),
        source=source,
        captions=captions,
        card=card,
        split_origin=divided.origin,
        location=folder,
    )


def is_webdataset(folder: Path) -> bool:
    """Whether a folder has shards in this layout, and no picture beside them."""
    has_tars = any(split_named(path.name) and any(path.glob("*.tar")) for path in _folders(folder))
    return has_tars and not walk(folder).pictures


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir())


def _text(path: Path) -> str:
    """Text of a file; "" where there is none."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return ""
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(f"{path} cannot be read as UTF-8 text ({error}).") from error


def _shards(folder: Path) -> list[_Shard]:
    found = []
    for place in _folders(folder):
        if split := split_named(place.name):
            found += [_Shard(path, split, f"{place.name}/{path.name}") for path in _tars(place)]
    if not found:
        raise DataError(
            f"{folder} has no shards; expected test/0.tar (and train/0.tar), with their number in "
            f"test/{N_SHARDS}, as CLIP_benchmark lays them out."
        )
    return found


def _tars(place: Path) -> list[Path]:
    """Give the shards of a split in order; as many as it says that there are."""
    stated = _text(place / N_SHARDS).strip()
    if not stated:
        tars = list(place.glob("*.tar"))
        return sorted(tars, key=lambda p: (not p.stem.isdecimal(), p.stem.zfill(20)))
    if not stated.isdecimal() or int(stated) < 1:
        raise DataError(f"{place / N_SHARDS} holds {stated[:40]!r}; expected the number of tars.")
    paths = [place / f"{number}.tar" for number in range(int(stated))]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise DataError(
            f"{place} lacks {len(missing)} of {len(paths)} shards: {', '.join(missing[:5])}"
            f"{' …' if len(missing) > 5 else ''}. Fetch them again."
        )
    return paths


def _samples(shard: _Shard) -> list[_Sample]:
    """Put together what shares a key, in the order of the tar."""
    listing = list_members(shard.path)
    by_key: dict[str, dict[str, Member | Refused]] = {}
    outside = [member for member in listing.refused if not _is_inside(member.name)]
    if outside:
        first = f"{outside[0].name}: {outside[0].reason}"
        say(f"{shard.path}: passed over {len(outside):,} members, such as {first}")
    inside = [member for member in listing.refused if _is_inside(member.name)]
    members: list[Member | Refused] = [*listing.members, *inside]
    for member in members:
        folder, slash, file = member.name.rpartition("/")
        stem, dot, suffix = file.partition(".")
        if dot and stem:
            by_key.setdefault(f"{folder}{slash}{stem}", {})[suffix.lower()] = member
    found, without = [], []
    stream = open_tar(shard.path)
    try:
        for key, of_key in by_key.items():
            kinds = [kind for kind in PICTURES if kind in of_key]
            if kinds:
                found.append(_sample(shard, key, kinds[0], of_key, stream))
            else:
                without.append(key)
    finally:
        stream.close()
    if without:
        say(f"{shard.path}: passed over {len(without):,} keys without a picture: {without[0]}, …")
    return found


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def _sample(
    shard: _Shard,
    key: str,
    suffix: str,
    members: Mapping[str, Member | Refused],
    stream: TarStream,
) -> _Sample:
    picture = members[suffix]
    if isinstance(picture, Member):
        picture = picture._replace(archive=shard.name)
    label, captions = UNLABELLED, tuple[str, ...]()
    if LABEL in members:
        given = _read(members[LABEL], stream, shard)
        if not given.strip().isdecimal():
            raise DataError(
                f"{shard.path}: {members[LABEL].name} holds {given[:40]!r}; expected the number of "
                "a class."
            )
        label = int(given)
    if CAPTIONS in members:
        lines = _read(members[CAPTIONS], stream, shard).splitlines()
        captions = tuple(line.strip() for line in lines if line.strip())
    elif NOTES in members:
        captions = _captions_in(_read(members[NOTES], stream, shard))
    return _Sample(f"{shard.name.removesuffix('.tar')}/{key}.{suffix}", picture, label, captions)


def _read(member: Member | Refused, stream: TarStream, shard: _Shard) -> str:
    if isinstance(member, Refused) or member.size > MOST_TEXT:
        reason = member.reason if isinstance(member, Refused) else f"{member.size:,} bytes"
        raise DataError(f"{shard.path}: {member.name} cannot be read as text: {reason}.")
    try:
        return read_tar_member(stream, member).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{shard.path}: {member.name} cannot be read as text: {error}.") from error


def _captions_in(text: str) -> tuple[str, ...]:
    """Give the captions that a JSON object has under a usual key."""
    try:
        value = json.loads(text)
    except ValueError:
        return ()
    found = value.get("captions") or value.get("caption") if isinstance(value, dict) else None
    texts = [found] if isinstance(found, str) else found
    return tuple(t for t in texts if isinstance(t, str)) if isinstance(texts, list) else ()


def _archive(sample: _Sample) -> str:
    first, second, _rest = sample.id.split("/", 2)
    return f"{first}/{second}.tar"


def _task(folder: Path, labels: np.ndarray, samples: Sequence[_Sample]) -> Task:
    """Give the classes by their file, in the order of the labels."""
    largest = int(labels.max())
    names = [line.strip() for line in _text(folder / CLASS_NAMES).splitlines()]
    while names and not names[-1]:
        names.pop()
    if not names:
        say(f"{folder} has no {CLASS_NAMES}: the classes are called by their numbers.")
        names = [str(label) for label in range(largest + 1)]
    if largest >= len(names):
        sample = samples[int(labels.argmax())]
        raise DataError(
            f"{folder}: {sample.id} has label {largest}, and {CLASS_NAMES} has {len(names)} names, "
            f"for labels 0 to {len(names) - 1}."
        )
    names = [name or f"class {number}" for number, name in enumerate(names)]
    templates = [line.strip() for line in _text(folder / TEMPLATES).splitlines()]
    prompts = Prompts("data set", tuple(filter(None, templates)))
    _check_templates(folder / TEMPLATES, prompts.templates)
    unique = _unique(names)
    changed = {
        new: prompts.texts(old) for old, new in zip(names, unique, strict=True) if old != new
    }
    if not prompts.templates:
        return Task(TASK, unique, may_lack_training=True)
    own = Prompts(prompts.name, prompts.templates, changed)
    return Task(TASK, unique, own, may_lack_training=True)


def _check_templates(path: Path, templates: Sequence[str]) -> None:
    faults = Faults()
    for number, template in enumerate(templates, start=1):
        if "{c}" not in template and "{}" not in template:
            faults.add(f"template {number}, {template!r}")
    faults.raise_any(f"{path} has templates without {{c}}, where the class goes:")


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    """Put a number behind a name that stood before: crane, crane (2)."""
    seen: Counter[str] = Counter()
    taken, found = set(names), []
    for name in names:
        seen[name] += 1
        unique = name if seen[name] == 1 else f"{name} ({seen[name]})"
        while unique != name and unique in taken:
            seen[name] += 1
            unique = f"{name} ({seen[name]})"
        taken.add(unique)
        found.append(unique)
    return tuple(found)


def _digests(
    folder: Path, home: Path, samples: Sequence[_Sample], source: ArchivePictures
) -> np.ndarray:
    """Digests of all pictures, kept by tar; "" of those that cannot be read."""
    rows: dict[str, list[int]] = {}
    for row, sample in enumerate(samples):
        rows.setdefault(_archive(sample), []).append(row)

    def digests_of(path: Path) -> list[str]:
        found = []
        for read in source.open(rows[path.relative_to(folder).as_posix()]):
            try:
                found.append(hashlib.sha256(read()).hexdigest())
            except OSError:
                found.append("")
        return found

    kept = cached_digests(home, folder, list(rows), digests_of, kind="webdataset")
    digests = np.full(len(samples), "", dtype=object)
    for name, found in kept.items():
        if len(found) != len(rows[name]):
            raise DataError(f"{folder / name} changed while it was being read. Run it again.")
        digests[rows[name]] = found
    return digests
