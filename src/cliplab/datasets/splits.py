"""Which pictures are training and which are held out: names of splits, and the fixed split."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from cliplab.nouns import TEST, TRAIN, UNLABELLED, VALIDATION

SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("val", "valid", "validation", "dev"), VALIDATION),
    **dict.fromkeys(("test", "testing"), TEST),
}
"""What a split may be called (in lower case) and what it is then."""


def split_named(text: str) -> str | None:
    """Give "train", "validation" or "test" for a usual name of it in any case; None for others.

    >>> split_named("Training"), split_named("dev"), split_named("cats")
    ('train', 'validation', None)
    """
    return SPLIT_NAMES.get(text.strip().lower())


def fixed_split(ids: Sequence[str] | np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Split pictures 80 to 20, class by class, in a way that depends on their ids alone.

    Of each class, the first ``min(n - 1, max(1, round(n / 5)))`` of its n pictures, in the order
    of the SHA-256 of their ids, are test; the rest are train. `round` is Python's (half to even),
    although n / 5 never ends in a half. A class of one picture is train.

    Parameters
    ----------
    ids
        (N,) unique names of the pictures; hashed as UTF-8.
    labels
        (N,) int64 in -1..C-1; -1 is unlabelled.

    Returns
    -------
    numpy.ndarray
        (N,) str objects: "train", "test", or "" where unlabelled.
    """
    keys = np.array([hashlib.sha256(str(id_).encode()).hexdigest() for id_ in ids], dtype=object)
    split = np.full(len(ids), "", dtype=object)
    for label in np.unique(labels[labels != UNLABELLED]):
        rows = np.flatnonzero(labels == label)
        n_test = min(len(rows) - 1, max(1, round(len(rows) / 5)))
        ordered = rows[np.argsort(keys[rows], kind="stable")]
        split[ordered[:n_test]] = TEST
        split[ordered[n_test:]] = TRAIN
    return split


def hashed_split(keys: Iterable[str]) -> np.ndarray:
    """Split pictures 80 to 10 to 10, each by its own key, whatever else there is.

    The SHA-256 of the key (in UTF-8) is read as a number, big end first; its last decimal digit
    says where the picture belongs: 0 is test, 1 validation, 2 to 9 train. A picture therefore
    never changes sides, whether a thousand of its class are taken or all.

    >>> list(hashed_split(["cat/0", "cat/13", "cat/16"]))
    ['train', 'test', 'validation']

    Returns
    -------
    numpy.ndarray
        (N,) str objects: "train", "validation", "test".
    """
    split_of = (TEST, VALIDATION, *(TRAIN,) * 8)
    digests = (hashlib.sha256(key.encode()).digest() for key in keys)
    found = [split_of[int.from_bytes(digest, "big") % 10] for digest in digests]
    return np.array(found, dtype=object)


def trained_classes(labels: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """Give the classes (K,) int64, ascending, that have a training or validation picture.

    Parameters
    ----------
    labels
        (N,) int64 in -1..C-1; -1 is unlabelled.
    splits
        (N,) str objects: train, validation, test, "" (none).
    """
    trained_on = (splits == TRAIN) | (splits == VALIDATION)
    return np.unique(labels[trained_on & (labels != UNLABELLED)])


def untrained_classes(labels: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """Give the classes, ascending, that have test pictures and none to learn from."""
    tested = np.unique(labels[(splits == TEST) & (labels != UNLABELLED)])
    return np.setdiff1d(tested, trained_classes(labels, splits))


class Settled(NamedTuple):
    """Splits as they are used, and where they come from."""

    splits: np.ndarray  # (N,) str objects: train, validation, test, "" (none)
    origin: str  # "given", or "fixed" where the fixed split was made


def settled(given: np.ndarray, ids: np.ndarray, labels: np.ndarray) -> Settled:
    """Make sure that there is something to test on, keeping the given splits where there is.

    Where no labelled picture is test, validation stands in for it, as the field does. Where there
    is neither, the training pictures are divided by `fixed_split`; where nothing is given at all,
    all pictures are. Pictures without a split among others with one stay out.

    Parameters
    ----------
    given
        (N,) str objects: train, validation, test, "" (none).
    ids, labels
        As for `fixed_split`.
    """
    labelled = labels != UNLABELLED
    splits = np.where(labelled, given, "").astype(object)
    if (splits == TEST).any():
        return Settled(splits, "given")
    if (splits == VALIDATION).any():
        splits[splits == VALIDATION] = TEST
        return Settled(splits, "given")
    divided = splits == TRAIN if (splits == TRAIN).any() else labelled
    splits[divided] = fixed_split(ids[divided], labels[divided])
    return Settled(splits, "fixed")
