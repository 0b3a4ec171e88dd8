"""Data sets of Hugging Face: from the hub, and from folders in its layouts."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cliplab.datasets.columns import Part, dataset_of
from cliplab.datasets.manifest import MANIFEST, is_whole
from cliplab.datasets.parquet import check_version, open_parquet
from cliplab.datasets.prepare import prepared_folder
from cliplab.datasets.tables import table_file
from cliplab.nouns import Card, Dataset
from cliplab.runtime.errors import DataError, UnknownName, UsageError

HUB = "hf:"
SAVED = ("dataset_dict.json", "state.json")  # what `save_to_disk` leaves
PATIENCE = 10.0  # seconds that the hub is given to answer at all


def holds_tables(folder: Path) -> bool:
    """Whether a folder is one of tables: prepared by cliplab, saved by `datasets`, or of Parquet.

    Looks at the folder and at most one level below.
    """
    if any((folder / name).is_file() for name in (MANIFEST, *SAVED)):
        return True
    return any(next(folder.glob(pattern), None) for pattern in ("*.parquet", "*/*.parquet"))


def open_local(folder: Path, *, name: str, home: Path, label: str | None = None) -> Dataset:
    """Open a folder of tables: written by `cliplab prepare`, by `save_to_disk`, or as on the hub.

    The pictures are read where they lie, as the encoded bytes that they are.

    Parameters
    ----------
    folder
        Where the tables lie.
    name
        As the user calls the data set.
    home
        Folder of what is kept between runs.
    label
        The label column asked for; without it, every class-label column is a task.

    Raises
    ------
    DataError
        If a table is missing or damaged, or there is no picture column.
    UnknownName
        If there is no such label column; the message lists those there are.
    UsageError
        If no column is a class label and none was named.
    """
    if (folder / MANIFEST).exists():
        dataset = open_parquet(folder, name=name, home=home)
        if label is not None and label not in dataset.tasks:
            raise UnknownName("label column", label, dataset.tasks, hint=f"of {name}")
        return dataset
    if any((folder / mark).exists() for mark in SAVED):
        parts, features, card = _saved(folder)
    else:
        parts, features, card = _parquet_folder(folder)
    return dataset_of(parts, features, name=name, home=home, folder=folder, label=label, card=card)


def _saved(folder: Path) -> tuple[list[Part], Mapping[str, Any], Card]:
    import pyarrow as pa

    import datasets

    remedy = "Save it again with save_to_disk, or copy it here again."
    try:
        found = datasets.load_from_disk(str(folder))
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise DataError(
            f"{folder} cannot be read as a saved data set ({error}). {remedy}"
        ) from error
    splits = found if isinstance(found, dict) else {str(found.split or "all"): found}
    return _of_splits(splits, remedy)


def _of_splits(
    splits: Mapping[str, Any], remedy: str
) -> tuple[list[Part], Mapping[str, Any], Card]:
    """Parts, features and card of `datasets.Dataset`s, whose Arrow files are then read directly."""
    parts = []
    for name, split in splits.items():
        paths = [Path(file["filename"]) for file in split.cache_files]
        parts.append(Part(str(name), tuple(table_file(path, remedy) for path in paths)))
    first = next(iter(splits.values()))
    info = first.info
    card = Card(
        info.description or "", info.license or "", info.citation or "", info.homepage or ""
    )
    return [part for part in parts if part.files], first.features, card


def _parquet_folder(folder: Path) -> tuple[list[Part], Mapping[str, Any], Card]:
    """Parts, features and card of a folder as on the hub; its README says which file is which."""
    import datasets

    remedy = "Download the file again."
    try:
        # Only finds the files and reads README.md: nothing is converted or copied.
        builder = datasets.load_dataset_builder(str(folder.absolute()))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{folder} cannot be read as a data set of tables: {error}") from error
    parts = []
    for split, files in (builder.config.data_files or {}).items():
        tables = [Path(file) for file in files if str(file).endswith((".parquet", ".arrow"))]
        parts.append(Part(str(split), tuple(table_file(path, remedy) for path in tables)))
    parts = [part for part in parts if part.files]
    if not parts:
        raise DataError(f"{folder} holds no Parquet file; a data set of tables has some.")
    for part in parts:
        for file in part.files:
            check_version(file)
    first = parts[0].files[0]
    features = builder.info.features or datasets.Features.from_arrow_schema(first.schema)
    return parts, features, _card_beside(folder)


def _card_beside(folder: Path) -> Card:
    from huggingface_hub import DatasetCard

    path = folder / "README.md"
    if not path.is_file():
        return Card()
    try:
        licence = DatasetCard.load(path).data.license
    except (ValueError, OSError, UnicodeDecodeError):
        return Card()  # a README that is no card says nothing of the licence
    return Card(licence=", ".join(licence) if isinstance(licence, list) else licence or "")


def open_hub(spec: str, *, home: Path, label: str | None = None) -> Dataset:
    """Open a data set of the Hugging Face hub: from where it was prepared, the cache, the network.

    Parameters
    ----------
    spec
        `owner/name` or `owner/name/configuration`, with or without `hf:` before it.
    home
        Folder of what is kept between runs.
    label
        The label column asked for; without it, every class-label column is a task.

    Raises
    ------
    DataError
        If it is not at hand and the hub does not answer within ten seconds or is not to be asked
        (`HF_HUB_OFFLINE`); the message names the way out. Also if its tables cannot be used.
    UsageError
        If there is no such data set, or it wants a configuration to be chosen.
    """
    name = HUB + spec.removeprefix(HUB).strip("/")
    repository, configuration = _repository(name)
    prepared = prepared_folder(name, home)
    if is_whole(prepared):
        dataset = open_parquet(prepared, name=name, home=home)
        if label is None or label in dataset.tasks:
            return dataset
    splits, licence = _load(name, repository, configuration)
    remedy = f"Remove the file, then run `cliplab prepare {name}`: it is downloaded again."
    parts, features, card = _of_splits(splits, remedy)
    if not parts:
        raise DataError(f"{name} has no rows; there is nothing to read.")
    folder = Path(os.path.commonpath([file.path.parent for part in parts for file in part.files]))
    card = Card(
        card.description,
        card.licence or licence,
        card.citation,
        card.homepage or f"https://huggingface.co/datasets/{repository}",
    )
    return dataset_of(
        parts,
        features,
        name=name,
        home=home,
        folder=folder,
        label=label,
        card=card,
        picture_folders=_caches(),
    )


def _caches() -> tuple[Path, ...]:
    """Folders in which the hub's libraries keep what they fetch and unpack."""
    import huggingface_hub

    import datasets

    return Path(huggingface_hub.constants.HF_HUB_CACHE), Path(datasets.config.HF_DATASETS_CACHE)


def _repository(name: str) -> tuple[str, str | None]:
    parts = name.removeprefix(HUB).split("/")
    if not 1 <= len(parts) <= 3 or not all(parts):
        raise UsageError(
            f"{name!r} names no data set of the hub; write hf:owner/name, or "
            "hf:owner/name/configuration."
        )
    return "/".join(parts[:2]), parts[2] if len(parts) == 3 else None


def _load(name: str, repository: str, configuration: str | None) -> tuple[Mapping[str, Any], str]:
    """Load a hub data set: its splits, and its licence as the hub states it."""
    import datasets

    licence, unreachable = _ask_hub(name, repository)
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    try:
        with _offline(bool(unreachable)):
            return datasets.load_dataset(repository, configuration), licence
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        if not unreachable:
            raise DataError(f"{name} cannot be loaded from the hub: {error}") from error
        raise DataError(
            f"{name} is not in the local cache, and the hub cannot be asked ({unreachable}). "
            f"On a machine with a network: hf download {repository} --repo-type dataset "
            "--local-dir FOLDER. Copy that folder here and give its path instead."
        ) from error


def _ask_hub(name: str, repository: str) -> tuple[str, str]:
    """Give the licence that the hub states, and why it cannot be reached ("" if it can)."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

    if _told_to_stay_offline():
        return "", "HF_HUB_OFFLINE is set"
    try:
        found = HfApi().dataset_info(repository, timeout=PATIENCE)
    except GatedRepoError as error:
        raise DataError(
            f"{name} asks for consent: accept its terms on the hub, then `hf auth login`."
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise UsageError(
            f"{name}: the hub has no such data set, or it is private (then: `hf auth login`)."
        ) from error
    except Exception as error:  # the HTTP library beneath, and so its errors, differ by version
        return "", str(error) or type(error).__name__
    licence = getattr(found.card_data, "license", None) or ""
    return ", ".join(licence) if isinstance(licence, list) else str(licence), ""


def _told_to_stay_offline() -> bool:
    told = (os.environ.get(key, "") for key in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"))
    return any(value.upper() in ("1", "ON", "YES", "TRUE") for value in told)


@contextmanager
def _offline(wanted: bool) -> Iterator[None]:
    """Have the hub's libraries look into their caches alone: they read their switch at import."""
    import huggingface_hub

    import datasets

    if not wanted:
        yield
        return
    before = datasets.config.HF_HUB_OFFLINE, huggingface_hub.constants.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = huggingface_hub.constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE, huggingface_hub.constants.HF_HUB_OFFLINE = before
