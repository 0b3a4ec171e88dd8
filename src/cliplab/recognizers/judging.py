"""Drawings before a recogniser: what it sees in them, what they teach, and what they are near to.

Letters: M pictures, Q pictures whose nearest training picture is sought, C channels, H W pixels,
F features. Training pictures are read in blocks and never held.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cliplab.metrics.copies import (
    Nearest,
    as_rows,
    feature_distances,
    moved,
    pixel_distances,
)
from cliplab.metrics.drawings import Near, Seen
from cliplab.nouns import Pixels, Recognizer
from cliplab.recognizers.saved import load_recognizer
from cliplab.recognizers.training import RecognizerConfig, train_recognizer
from cliplab.runtime.progress import progress

BLOCK = 2_048  # training pictures that are looked at together


class HeldPixels(NamedTuple):
    """The `nouns.Pixels` of pictures that are in memory."""

    pictures: np.ndarray  # (N, C, H, W) uint8

    @property
    def rows(self) -> np.ndarray:
        """(N,) int64, their places."""
        return np.arange(len(self.pictures), dtype=np.int64)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of each picture."""
        channels, height, width = self.pictures.shape[1:]
        return channels, height, width

    def read(self, places: Sequence[int] | np.ndarray) -> np.ndarray:
        """Give (n, C, H, W) uint8 of these places, in that order."""
        return np.asarray(self.pictures[np.asarray(places)])


class ChosenPixels(NamedTuple):
    """The `nouns.Pixels` of some places of others, a place perhaps several times."""

    pixels: Pixels
    places: np.ndarray  # (n,) int64

    @property
    def rows(self) -> np.ndarray:
        """(n,) int64, rows of the data set."""
        return np.asarray(self.pixels.rows[self.places])

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of each picture."""
        return self.pixels.shape

    def read(self, places: Sequence[int] | np.ndarray) -> np.ndarray:
        """Give (n, C, H, W) uint8 of these places, in that order."""
        return self.pixels.read(self.places[np.asarray(places)])


def evened(labels: np.ndarray) -> np.ndarray:
    """Give places so that each class has as many as the middle one: cut, or several times over.

    A recogniser that is to be fair to classes sees them equally often.
    """
    counts = np.bincount(labels)
    each = int(np.median(counts[counts > 0]))
    return np.concatenate(
        [np.resize(np.flatnonzero(labels == number), each) for number in np.flatnonzero(counts)]
    )


# ------------------------------------------------------------------------------- what it sees


def seen_by(recognizer: Recognizer, pictures: np.ndarray, labels: np.ndarray) -> Seen:
    """Give ranks and features of pictures (M, C, H, W) uint8 of the classes `labels` (M,)."""
    ranks = ranks_of(recognizer.scores(pictures), labels)
    return Seen(labels, ranks, recognizer.features(pictures))


def ranks_of(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Give how many classes are more likely than the picture's own, (M,) int64; 0: recognised.

    Of equally likely classes the first counts as more likely, as `argmax` has it.
    """
    own = np.take_along_axis(scores, labels[:, None], axis=1)
    before = np.arange(scores.shape[1]) < labels[:, None]
    found: np.ndarray = ((scores > own) | ((scores == own) & before)).sum(axis=1)
    return found


# ------------------------------------------------------------------------------- what they teach


def known_after(
    lesson: Pixels,
    labels: np.ndarray,
    class_names: Sequence[str],
    pictures: np.ndarray,
    truth: np.ndarray,
    folder: Path,
    config: RecognizerConfig,
    *,
    content: str,
    device: str,
) -> np.ndarray:
    """Train a classifier on a lesson, and tell which pictures it knows.

    Parameters
    ----------
    lesson, labels, class_names
        What it learns from, (N,) int64.
    pictures, truth
        (M, C, H, W) uint8 and their classes (M,) int64.
    folder, config, content
        As for `train_recognizer`; killed and run again, it goes on.
    device
        Where it answers.

    Returns
    -------
    numpy.ndarray
        (M,) bool.
    """
    train_recognizer(lesson, labels, class_names, config, folder, content=content)
    scores = load_recognizer(folder, device=device).scores(pictures)
    return np.asarray(ranks_of(scores, truth) == 0)


# ------------------------------------------------------------------------------- what they are near


class Neighbour(NamedTuple):
    """The nearest training picture to each of Q pictures."""

    near: Near
    by_pixels: np.ndarray  # (Q,) int64, place of the training picture
    by_features: np.ndarray  # (Q,) int64


def nearest_training(
    recognizer: Recognizer,
    training: Pixels,
    training_labels: np.ndarray,
    pictures: np.ndarray,
    labels: np.ndarray,
    features: np.ndarray,
) -> Neighbour:
    """Find the training picture that is nearest to each picture, in features and in pixels.

    In features all training pictures are searched. In pixels, over moves by a pixel, those of the
    picture's own class, and the one that is nearest in features, whichever class it is of: a copy
    of a drawing that lies under another label has its features.

    Parameters
    ----------
    recognizer
        Whose features are compared.
    training, training_labels
        (N,) int64; read once, in blocks.
    pictures, labels, features
        (Q, C, H, W) uint8, (Q,) int64, (Q, F) float32.
    """
    by_features = Nearest(features[:, None])
    in_class = np.full(len(pictures), -1, dtype=np.int64)
    with progress("looking for copies", len(training_labels), unit="training pictures") as advance:
        for number in np.unique(training_labels):
            asked = np.flatnonzero(labels == number)
            by_pixels = Nearest(moved(pictures[asked]))
            for places in _blocks(np.flatnonzero(training_labels == number)):
                block = training.read(places)
                by_features.see(recognizer.features(block), places)
                by_pixels.see(as_rows(block), places)
                advance(len(places))
            in_class[asked] = by_pixels.places
    return _measured(recognizer, training, pictures, features, in_class, by_features.places)


def _blocks(places: np.ndarray) -> Iterator[np.ndarray]:
    return (places[start : start + BLOCK] for start in range(0, len(places), BLOCK))


def _measured(
    recognizer: Recognizer,
    training: Pixels,
    pictures: np.ndarray,
    features: np.ndarray,
    in_class: np.ndarray,
    by_features: np.ndarray,
) -> Neighbour:
    """Measure the distances to what was found, without the rounding of the search."""
    n = len(pictures)
    pixels, apart, by_pixels = np.empty(n), np.empty(n), by_features.copy()
    for rows in _blocks(np.arange(n)):
        other = training.read(by_features[rows])
        apart[rows] = feature_distances(features[rows], recognizer.features(other))
        pixels[rows] = pixel_distances(pictures[rows], other)
        rows = rows[in_class[rows] >= 0]
        own = pixel_distances(pictures[rows], training.read(in_class[rows]))
        nearer = own <= pixels[rows]
        pixels[rows[nearer]], by_pixels[rows[nearer]] = own[nearer], in_class[rows[nearer]]
    return Neighbour(Near(pixels, apart), by_pixels, by_features)
