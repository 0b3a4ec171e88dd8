"""Paris buildings: 6,412 photographs found on Flickr by 12 search words, 11 landmarks, 55 queries.

Philbin et al. 2008, "Lost in quantization: Improving particular object retrieval in large scale
image databases" (CVPR). 20 of the files are known to be damaged at the source. Since 2022 the
archives are ones in which faces are blurred; both are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cliplab.datasets.entry import CatalogueEntry
from cliplab.datasets.landmarks import LANDMARK, WORD, Buildings, read_buildings
from cliplab.nouns import TEST, TRAIN, Card, Dataset
from cliplab.runtime.downloads import Remote

NAME = "paris"
PHOTOGRAPHS = ("paris_1-v1.tgz", "paris_2-v1.tgz")
TRUTH = "paris_120310.tgz"
PLACES = (
    "https://www.robots.ox.ac.uk/~vgg/data/parisbuildings/",
    "https://thor.robots.ox.ac.uk/datasets/paris-buildings/",
)
WORDS = {  # search word → what it means
    "defense": "La Défense",
    "eiffel": "Eiffel Tower",
    "general": "Paris",
    "invalides": "Les Invalides",
    "louvre": "Louvre",
    "moulinrouge": "Moulin Rouge",
    "museedorsay": "Musée d'Orsay",
    "notredame": "Notre-Dame de Paris",
    "pantheon": "Panthéon",
    "pompidou": "Centre Pompidou",
    "sacrecoeur": "Sacré-Cœur",
    "triomphe": "Arc de Triomphe",
}
LANDMARKS = tuple(word for word in WORDS if word != "general")
DAMAGED = {  # search word → numbers of the files that are damaged at the source
    "louvre": (136, 146),
    "moulinrouge": (422,),
    "museedorsay": (1059,),
    "notredame": (188,),
    "pantheon": (284, 960, 974),
    "pompidou": (195, 196, 201, 467, 640),
    "sacrecoeur": (299, 330, 353),
    "triomphe": (662, 833, 863, 867),
}
CARD = Card(
    description="Paris buildings: 6,412 photographs found on Flickr, of which 20 are damaged at "
    "the source. The classes of query_word are the words that Flickr was searched for, not "
    "checked labels: such a photograph may show anything, and those of the word general do. "
    "landmark is the ground truth: the photographs that show one of 11 landmarks well (good) or in "
    "part (ok). The splits are cliplab's, since the source has none for classification.",
    licence="none stated; the photographs belong to the Flickr users who took them",
    citation="@inproceedings{philbin2008lost,\n"
    "  title = {Lost in quantization: Improving particular object retrieval in large scale image\n"
    "           databases},\n"
    "  author = {Philbin, James and Chum, Ondrej and Isard, Michael and Sivic, Josef and\n"
    "            Zisserman, Andrew},\n"
    "  booktitle = {Proceedings of the IEEE Conference on Computer Vision and Pattern\n"
    "               Recognition},\n"
    "  year = {2008}\n}",
    homepage="https://www.robots.ox.ac.uk/~vgg/data/parisbuildings/",
)
BUILDINGS = Buildings(
    name=NAME,
    words=tuple(WORDS),
    landmarks=LANDMARKS,
    word_names=tuple(WORDS.values()),
    landmark_names=tuple(WORDS[landmark] for landmark in LANDMARKS),
    archives=PHOTOGRAPHS,
    truth=TRUTH,
    card=CARD,
    catch_all=(WORDS["general"],),
    complete=(6_412,),
    prefix="paris_",
    damaged=tuple(
        f"paris_{word}_{number:06d}.jpg" for word, numbers in DAMAGED.items() for number in numbers
    ),
)
TRAPS = (
    "The classes of query_word are the words that Flickr was searched for, not checked labels: a "
    "photograph may show anything, and many show no landmark. Queries of La Défense and the "
    "Eiffel Tower are themselves called paris_general_….",
    "Paris is a catch-all class: the photographs of that word show anything. Headlines are given "
    "with and without them.",
    "There is no official split for classification: the fixed one holds out a fifth of each "
    "class, by SHA-256 of the id, the same on every machine.",
    "Since 2022 the archives are ones in which faces are blurred, and the older ones are gone "
    "from the source; both are read, and the record's digests tell them apart.",
    "A landmark is given by the ground truth where any of its five queries calls the photograph "
    "good or ok; a photograph that has two landmarks has none here.",
    "20 of the 6,412 files are damaged at the source. In some copies they are pages of the web "
    "that say 302 Found, under the name of a .jpg. They are listed as unreadable: 6,392 are left.",
)
ENTRIES = (
    CatalogueEntry(
        name=NAME,
        description="Paris buildings: photographs by Flickr search word (unchecked), by landmark.",
        tasks={WORD: len(WORDS), LANDMARK: len(LANDMARKS)},
        pictures=6_412,
        splits={TRAIN: 5_131, TEST: 1_281},
        licence=CARD.licence,
        size=None,
    ),
)


def card(name: str = NAME) -> Card:
    """Say where it comes from."""
    return CARD


def remotes(name: str = NAME) -> tuple[Remote, ...]:
    """Give both archives of photographs, of blurred faces or the older ones, and the truth."""
    photographs = []
    for file in PHOTOGRAPHS:
        older = file.replace("-v1", "")
        urls = (*(place + file for place in PLACES), PLACES[0] + older)
        photographs.append(Remote(file, urls=urls, other_names=(older,)))
    return (*photographs, Remote(TRUTH, urls=tuple(place + TRUTH for place in PLACES)))


def read_archives(name: str, files: Mapping[str, Path]) -> Dataset:
    """Give the photographs, streamed from the archives; see `landmarks.read_buildings`."""
    return read_buildings(BUILDINGS, files)


def open_entry(name: str, *, home: Path) -> Dataset:
    """Say how the data set comes here: where it is prepared, it is opened without this module."""
    from cliplab.datasets.picture_lists import not_prepared

    raise not_prepared(name, [name], ENTRIES[0].size)
