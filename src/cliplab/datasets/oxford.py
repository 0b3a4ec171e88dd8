"""Oxford Buildings: 5,063 photographs found on Flickr by 17 search words, 11 landmarks, 55 queries.

Philbin et al. 2007, "Object retrieval with large vocabularies and fast spatial matching" (CVPR).
Since 2022 the archive is one in which faces are blurred; both are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cliplab.datasets.entry import CatalogueEntry
from cliplab.datasets.landmarks import LANDMARK, WORD, Buildings, read_buildings
from cliplab.nouns import TEST, TRAIN, Card, Dataset
from cliplab.runtime.downloads import Remote

NAME = "oxford"
PHOTOGRAPHS, TRUTH = "oxbuild_images-v1.tgz", "gt_files_170407.tgz"
PLACES = (
    "https://www.robots.ox.ac.uk/~vgg/data/oxbuildings/",
    "https://thor.robots.ox.ac.uk/datasets/oxford-buildings/",
)
WORDS = {  # search word → what it means
    "all_souls": "All Souls College",
    "ashmolean": "Ashmolean Museum",
    "balliol": "Balliol College",
    "bodleian": "Bodleian Library",
    "christ_church": "Christ Church",
    "cornmarket": "Cornmarket Street",
    "hertford": "Hertford College",
    "jesus": "Jesus College",
    "keble": "Keble College",
    "magdalen": "Magdalen College",
    "new": "New College",
    "oriel": "Oriel College",
    "oxford": "Oxford",
    "pitt_rivers": "Pitt Rivers Museum",
    "radcliffe_camera": "Radcliffe Camera",
    "trinity": "Trinity College",
    "worcester": "Worcester College",
}
LANDMARKS = (
    *("all_souls", "ashmolean", "balliol", "bodleian", "christ_church", "cornmarket"),
    *("hertford", "keble", "magdalen", "pitt_rivers", "radcliffe_camera"),
)
CARD = Card(
    description="Oxford Buildings: 5,063 photographs found on Flickr. The classes of query_word "
    "are the words that Flickr was searched for, not checked labels: such a photograph may show "
    "anything, and those of the word oxford do. landmark is the ground truth: the photographs that "
    "show one of 11 landmarks well (good) or in part (ok). The splits are cliplab's, since the "
    "source has none for classification.",
    licence="Flickr's terms of use, and the source's terms of access",
    citation="@inproceedings{philbin2007object,\n"
    "  title = {Object retrieval with large vocabularies and fast spatial matching},\n"
    "  author = {Philbin, James and Chum, Ondrej and Isard, Michael and Sivic, Josef and\n"
    "            Zisserman, Andrew},\n"
    "  booktitle = {Proceedings of the IEEE Conference on Computer Vision and Pattern\n"
    "               Recognition},\n"
    "  year = {2007}\n}",
    homepage="https://www.robots.ox.ac.uk/~vgg/data/oxbuildings/",
)
BUILDINGS = Buildings(
    name=NAME,
    words=tuple(WORDS),
    landmarks=LANDMARKS,
    word_names=tuple(WORDS.values()),
    landmark_names=tuple(WORDS[landmark] for landmark in LANDMARKS),
    archives=(PHOTOGRAPHS,),
    truth=TRUTH,
    card=CARD,
    catch_all=(WORDS["oxford"],),
    complete=(5_062, 5_063),
    query_prefix="oxc1_",
)
TRAPS = (
    "The classes of query_word are the words that Flickr was searched for, not checked labels: a "
    "photograph may show anything, and many show no landmark.",
    "Oxford is a catch-all class: the photographs of that word show anything. Headlines are given "
    "with and without them.",
    "There is no official split for classification: the fixed one holds out a fifth of each "
    "class, by SHA-256 of the id, the same on every machine.",
    "Since 2022 the archives are ones in which faces are blurred, and the older ones are gone "
    "from the source; both are read, and the record's digests tell them apart.",
    "A landmark is given by the ground truth where any of its five queries calls the photograph "
    "good or ok; a photograph that has two landmarks has none here.",
    "The source's page counts 5,062 photographs, the archive holds 5,063.",
    "Classes are small: cornmarket has 59 photographs, hertford 67, worcester 70, so that a fifth "
    "of them is a dozen. Look at the intervals.",
)
ENTRIES = (
    CatalogueEntry(
        name=NAME,
        description="Oxford Buildings: photographs by Flickr search word (unchecked), by landmark.",
        tasks={WORD: len(WORDS), LANDMARK: len(LANDMARKS)},
        pictures=5_063,
        splits={TRAIN: 4_051, TEST: 1_012},
        licence=CARD.licence,
        size=1_938_238_004,
    ),
)


def card(name: str = NAME) -> Card:
    """Say where it comes from."""
    return CARD


def remotes(name: str = NAME) -> tuple[Remote, ...]:
    """Give the archive of photographs, of blurred faces or the older one, and the ground truth."""
    older = tuple(PLACES[0] + file for file in ("oxbuild_images.tgz",))
    return (
        Remote(
            PHOTOGRAPHS,
            urls=(*(place + PHOTOGRAPHS for place in PLACES), *older),
            other_names=("oxbuild_images.tgz",),
        ),
        Remote(TRUTH, urls=tuple(place + TRUTH for place in PLACES)),
    )


def read_archives(name: str, files: Mapping[str, Path]) -> Dataset:
    """Give the photographs, streamed from the archive; see `landmarks.read_buildings`."""
    return read_buildings(BUILDINGS, files)


def open_entry(name: str, *, home: Path) -> Dataset:
    """Say how the data set comes here: where it is prepared, it is opened without this module."""
    from cliplab.datasets.picture_lists import not_prepared

    raise not_prepared(name, [name], ENTRIES[0].size)
