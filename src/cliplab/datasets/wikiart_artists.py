"""`wikiart/artist195`: the artists of whom WikiArt has many paintings, as a view of `wikiart`.

There are tables for "WikiArt, 195 artists" without a recipe. The artists with at least 100
paintings in ArtGAN's lists of styles are 195, with 52,757 paintings, 30 more than such a table
names. Weighting the rows of the reported table by the counts of its thirteen styles among these
paintings gives its totals to within a quarter of a point. Which paintings it used is not known.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from cliplab.datasets.splits import fixed_split
from cliplab.datasets.views import Column, view
from cliplab.nouns import UNLABELLED, Dataset, Task

ARTIST, STYLE = "artist195", "style13"
MINIMUM = 100  # paintings
STYLES = (  # of the reported table
    *("Abstract Expressionism", "Action painting", "Analytical Cubism", "Baroque"),
    *("Color Field Painting", "Fauvism", "High Renaissance", "Impressionism"),
    *("Naive Art Primitivism", "New Realism", "Pop Art", "Realism", "Synthetic Cubism"),
)
_SMALL = frozenset(("da", "de", "der", "la", "of", "the", "van", "von"))


def artist_of(id_: str) -> str:
    """Slug of the artist: the file's name up to its first underscore.

    >>> artist_of("Impressionism/claude-monet_water-lilies-6.jpg")
    'claude-monet'
    """
    return id_.rpartition("/")[2].partition("_")[0]


def in_words(slug: str) -> str:
    """Name of an artist, as it may stand in a caption.

    >>> in_words("hans-holbein-the-younger"), in_words("m.c.-escher"), in_words("el-greco")
    ('Hans Holbein the Younger', 'M.C. Escher', 'El Greco')
    """
    words = slug.split("-")
    return " ".join(
        word if place and word in _SMALL else word.title() for place, word in enumerate(words)
    )


def of_many_paintings(wikiart: Dataset) -> Dataset:
    """Give the paintings of the artists with at least 100 of them, by artist and by style.

    Tasks are `artist195`, whose classes are those artists by the order of their slugs, and
    `style13`, the thirteen styles of the reported table; paintings of other styles have no label
    there. Neither has a split of its own for these classes, so both have the fixed split.

    Parameters
    ----------
    wikiart
        All of WikiArt, with its task `style`.
    """
    styles = wikiart.labels["style"]
    listed = styles != UNLABELLED
    artists = np.array([artist_of(id_) for id_ in wikiart.ids], dtype=object)
    counts = Counter(artists[listed])
    many = sorted(artist for artist, n in counts.items() if n >= MINIMUM)
    number = {artist: label for label, artist in enumerate(many)}
    of_artist = np.array([number.get(artist, UNLABELLED) for artist in artists], dtype=np.int64)
    of_artist[~listed] = UNLABELLED
    names = wikiart.tasks["style"].class_names
    new = np.array([STYLES.index(s) if s in STYLES else UNLABELLED for s in names], dtype=np.int64)
    of_style = np.where(of_artist == UNLABELLED, UNLABELLED, new[styles])
    columns = [
        Column(Task(task, classes), labels, fixed_split(wikiart.ids, labels))
        for task, classes, labels in (
            (ARTIST, tuple(in_words(artist) for artist in many), of_artist),
            (STYLE, STYLES, of_style),
        )
    ]
    description = (
        f"The paintings of the {len(many)} artists of whom WikiArt has at least {MINIMUM}: by "
        f"artist, and by the {len(STYLES)} styles of a reported table that names 195 artists. "
        "Which paintings that table used is not known. The splits are cliplab's."
    )
    return view(
        wikiart,
        columns,
        name=f"{wikiart.name}/{ARTIST}",
        card=replace(wikiart.card, description=description),
        split_origin="fixed",
    )
