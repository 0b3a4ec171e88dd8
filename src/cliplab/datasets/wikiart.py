"""WikiArt: 81,446 paintings by style, genre and artist, in the split of ArtGAN.

Tan et al. 2019, "Improved ArtGAN for Conditional Synthesis of Natural Image and Artwork" (IEEE
Transactions on Image Processing). ArtGAN's training and validation lists are training and test
here: there is no third part.

`wikiart/artist195` and `wikiart/deduplicated` are views of the prepared `wikiart`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from cliplab.datasets.entry import CatalogueEntry
from cliplab.datasets.names import readable_names
from cliplab.datasets.wikiart_lists import match_members, parse_list, repaired
from cliplab.nouns import TEST, TRAIN, UNLABELLED, Card, Dataset, Task
from cliplab.runtime.downloads import Remote
from cliplab.runtime.errors import DataError
from cliplab.runtime.progress import say

NAME, ARTISTS, DEDUPLICATED = "wikiart", "wikiart/artist195", "wikiart/deduplicated"
ARCHIVE = "wikiart.zip"
ADDRESS = "http://web.fsktm.um.edu.my/~cschan/source/ICIP2017/wikiart.zip"  # often silent
LISTS = "https://raw.githubusercontent.com/cs-chan/ArtGAN/master/WikiArt%20Dataset/"
CLASSES: Mapping[str, tuple[str, ...]] = {  # task → classes as ArtGAN's files spell them, in order
    "style": (
        *("Abstract_Expressionism", "Action_painting", "Analytical_Cubism", "Art_Nouveau"),
        *("Baroque", "Color_Field_Painting", "Contemporary_Realism", "Cubism"),
        *("Early_Renaissance", "Expressionism", "Fauvism", "High_Renaissance", "Impressionism"),
        *("Mannerism_Late_Renaissance", "Minimalism", "Naive_Art_Primitivism", "New_Realism"),
        *("Northern_Renaissance", "Pointillism", "Pop_Art", "Post_Impressionism", "Realism"),
        *("Rococo", "Romanticism", "Symbolism", "Synthetic_Cubism", "Ukiyo_e"),
    ),
    "genre": (
        *("abstract_painting", "cityscape", "genre_painting", "illustration", "landscape"),
        *("nude_painting", "portrait", "religious_painting", "sketch_and_study", "still_life"),
    ),
    "artist": (
        *("Albrecht_Durer", "Boris_Kustodiev", "Camille_Pissarro", "Childe_Hassam"),
        *("Claude_Monet", "Edgar_Degas", "Eugene_Boudin", "Gustave_Dore", "Ilya_Repin"),
        *("Ivan_Aivazovsky", "Ivan_Shishkin", "John_Singer_Sargent", "Marc_Chagall"),
        *("Martiros_Saryan", "Nicholas_Roerich", "Pablo_Picasso", "Paul_Cezanne"),
        *("Pierre_Auguste_Renoir", "Pyotr_Konchalovsky", "Raphael_Kirchner", "Rembrandt"),
        *("Salvador_Dali", "Vincent_van_Gogh"),
    ),
}
FOLDERS = {"Art_Nouveau": "Art_Nouveau_Modern"}  # style → folder, where it is called otherwise
BY_HAND = (
    "Open https://drive.google.com/file/d/1vTChp3nU5GQeLkPwotrybpUGUXj12BTK in a browser, download "
    f"wikiart.zip (25.4 GB), put it in a folder as {ARCHIVE}, and run the command again with "
    "--archives FOLDER."
)
LICENCE = "for non-commercial research only; the paintings' rights lie with WikiArt.org's sources"
CARD = Card(
    description="WikiArt: 81,446 paintings of 1,119 artists by style (27), genre (10) and artist "
    "(23), as ArtGAN collected and listed them. ArtGAN's validation list is the test split here. "
    "1,349 file names stand under more than one style, 9 of them on both sides of the split of "
    "style: evaluate with --deduplicate, or as wikiart/deduplicated, to count each once.",
    licence=LICENCE,
    citation="@article{artgan2018,\n"
    "  title = {Improved ArtGAN for Conditional Synthesis of Natural Image and Artwork},\n"
    "  author = {Tan, Wei Ren and Chan, Chee Seng and Aguirre, Hernan and Tanaka, Kiyoshi},\n"
    "  journal = {IEEE Transactions on Image Processing},\n"
    "  volume = {28},\n"
    "  number = {1},\n"
    "  pages = {394--409},\n"
    "  year = {2019}\n}",
    homepage="https://github.com/cs-chan/ArtGAN/tree/master/WikiArt%20Dataset",
)
TRAPS = (
    "1,349 file names stand under more than one style (80,097 distinct names of 81,446), some of "
    "them on both sides of the split: without `--deduplicate` a probe is tested on paintings that "
    "it was trained on, and no one label of such a painting is the right one.",
    "709 paths of the lists have broken encodings (joaquã\\xadn-sorolla), which archives spell in "
    "several ways; they are matched, and what cannot be matched is a row that cannot be read.",
    "The list calls a style Art_Nouveau, its folder is Art_Nouveau_Modern.",
    "The tasks cover other paintings, each with its own split: 81,446 by style, 64,994 by genre "
    "(one of its lines stands twice), 19,052 by artist.",
    "Tables are about for “195 artists” without a recipe. The artists with at least 100 paintings "
    "are 195, with 52,757 paintings; counted by distinct file names they would be 192, with "
    "51,772. The reported table counts 52,727. Which pictures it used is not known.",
    "style13 is the thirteen styles of the reported table over those artists: weighted by its "
    "counts the table's rows come to within a quarter of a point of its total.",
    "The archive is on Google Drive, where a person fetches it; the old address is tried first.",
)
SIZE = 25_400_000_000  # as the source's page has it
ENTRIES = (
    CatalogueEntry(
        name=NAME,
        description="WikiArt: paintings by style, genre and artist, in ArtGAN's split.",
        tasks={task: len(names) for task, names in CLASSES.items()},
        pictures=81_446,
        splits={TRAIN: 57_025, TEST: 24_421},
        licence=LICENCE,
        size=SIZE,
    ),
    CatalogueEntry(
        name=ARTISTS,
        description="WikiArt: the 195 artists of 100 paintings or more; a view of wikiart.",
        tasks={"artist195": 195, "style13": 13},
        pictures=52_757,
        splits={TRAIN: 42_208, TEST: 10_549},
        licence=LICENCE,
        size=SIZE,
    ),
    CatalogueEntry(
        name=DEDUPLICATED,
        description="WikiArt: each file name counted once in each task; a view of wikiart.",
        tasks={task: len(names) for task, names in CLASSES.items()},
        pictures=80_759,
        splits={TRAIN: 56_084, TEST: 24_013},
        licence=LICENCE,
        size=SIZE,
    ),
)


def parts(name: str) -> tuple[str, ...]:
    """Names of the data sets that one stands for: a view stands for `wikiart`."""
    return (NAME,) if name in (NAME, ARTISTS, DEDUPLICATED) else ()


def card(name: str) -> Card:
    """Say where it comes from."""
    return CARD


def remotes(name: str) -> tuple[Remote, ...]:
    """Give the archive, which a person fetches where its old address is silent, and six lists."""
    archive = Remote(ARCHIVE, urls=(ADDRESS,), by_hand=BY_HAND)
    lists = []
    for task in CLASSES:
        for part in ("train", "val"):
            kept = f"{task}_{part}.csv"
            there = kept if task != "artist" else f"{task}_{part}"
            others = (there,) if there != kept else ()
            url = f"{LISTS}{task.capitalize()}/{there}"
            lists.append(Remote(kept, urls=(url,), other_names=others))
    return (archive, *lists)


def read_archives(name: str, files: Mapping[str, Path]) -> Dataset:
    """Give the paintings of the lists, streamed from the archive.

    Rows stand in the order of the lists of styles, training before test. Ids are the lists' paths
    with broken encodings mended. A painting that a list names and the archive lacks is a row that
    cannot be read. One that a list names twice has the label of its first line.

    Raises
    ------
    DataError
        If a list is not ArtGAN's, or the archive holds none of the paintings.
    """
    from cliplab.datasets.archived import ArchivePictures
    from cliplab.datasets.picture_lists import text_of
    from cliplab.runtime.archives import Member, list_members

    texts = {
        (task, split): text_of(files[f"{task}_{part}.csv"])
        for task in CLASSES
        for split, part in ((TRAIN, "train"), (TEST, "val"))
    }
    paths, labels, splits = gather(texts)
    archive = files[ARCHIVE]
    matched = match_members(list_members(archive), paths, archive.name)
    if not any(isinstance(member, Member) for member in matched.members):
        raise DataError(
            f"{archive} holds none of the {len(paths):,} paintings of ArtGAN's lists, such as "
            f"{paths[0]}. {BY_HAND}"
        )
    if matched.otherwise:
        say(
            f"{name}: {matched.otherwise:,} paintings that the archive spells otherwise were found."
        )
    dataset = Dataset(
        name=name,
        tasks=tasks(),
        ids=np.array([repaired(path) for path in paths], dtype=object),
        labels=labels,
        splits=splits,
        digests=np.full(len(paths), "", dtype=object),
        source=ArchivePictures(matched.members, {archive.name: archive}),
        card=CARD,
    )
    say(f"{name}: {told_of_doubles(dataset)}")
    return dataset


def tasks() -> dict[str, Task]:
    """Give style, genre and artist, with the classes in words."""
    return {task: Task(task, readable_names(names)) for task, names in CLASSES.items()}


def gather(
    texts: Mapping[tuple[str, str], str],
) -> tuple[list[str], dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Put the six lists together: paths (N), and labels and splits (N,) of each task.

    Parameters
    ----------
    texts
        (Task, split) → text of the list, in the order in which rows are to stand.

    Raises
    ------
    DataError
        If a list is not ArtGAN's, or a painting stands in two splits of one task.
    """
    row_of: dict[str, int] = {}
    found: dict[str, dict[int, tuple[int, str]]] = {}
    for (task, split), text in texts.items():
        of_task = found.setdefault(task, {})
        for painting in parse_list(text, len(CLASSES[task]), f"The {split} list of {task}"):
            row = row_of.setdefault(painting.path, len(row_of))
            label, before = of_task.setdefault(row, (painting.label, split))
            if before != split:
                raise DataError(
                    f"{painting.path} is in the training and in the test list of {task}; fetch "
                    "the lists again."
                )
    n = len(row_of)
    labels = {task: np.full(n, UNLABELLED, dtype=np.int64) for task in found}
    splits = {task: np.full(n, "", dtype=object) for task in found}
    for task, of_task in found.items():
        for row, (label, split) in of_task.items():
            labels[task][row], splits[task][row] = label, split
    return list(row_of), labels, splits


def told_of_doubles(dataset: Dataset) -> str:
    """Say how many paintings stand under more than one style, and how many in train and test."""
    from cliplab.datasets.duplicates import doubles, picture_keys

    keys = picture_keys(dataset)
    found = {
        task: doubles(keys, dataset.labels[task], dataset.splits[task]) for task in dataset.tasks
    }
    several = next(iter(found.values()))
    across = ", ".join(f"{task} {one.across}" for task, one in found.items())
    return (
        f"{several.pictures:,} file names stand under more than one style; on both sides of the "
        f"split: {across}. --deduplicate counts each once."
    )


def open_entry(name: str, *, home: Path) -> Dataset:
    """Open a view of the prepared `wikiart`.

    Raises
    ------
    DataError
        If `wikiart` is not prepared; the message says how it comes here.
    """
    from cliplab.datasets.duplicates import deduplicated
    from cliplab.datasets.picture_lists import not_prepared, prepared
    from cliplab.datasets.wikiart_artists import of_many_paintings

    whole = prepared(NAME, home)
    if whole is None:
        raise not_prepared(name, [NAME], SIZE)
    if name == DEDUPLICATED:
        return deduplicated(whole)
    return of_many_paintings(whole) if name == ARTISTS else whole


def style_folders() -> Sequence[str]:
    """Folders of the archive, in label order of the task `style`."""
    return [FOLDERS.get(style, style) for style in CLASSES["style"]]
