"""DomainNet: 345 kinds of things in six domains, from clip art to photographs.

Peng et al. 2019, "Moment Matching for Multi-Source Domain Adaptation" (ICCV). What is read is the
cleaned version by its official lists; the archives still hold 9,431 pictures that the cleaning
removed, which are not read. `domainnet` is the six domains joined: nothing is stored twice.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cliplab.datasets.entry import CatalogueEntry
from cliplab.datasets.names import readable_names
from cliplab.nouns import TEST, TRAIN, Card, Dataset, Task
from cliplab.runtime.downloads import Remote
from cliplab.runtime.errors import DataError, Faults

if TYPE_CHECKING:
    from cliplab.runtime.archives import Member, Refused

NAME, TASK, DOMAIN = "domainnet", "label", "domain"
DOMAINS = ("clipart", "infograph", "painting", "quickdraw", "real", "sketch")
HOSTS = ("http://csr.bu.edu", "https://csr.bu.edu")
FOLDER = "/ftp/visda/2019/multi-source"
CLEANED_APART = ("clipart", "painting")  # whose cleaned archives lie in a folder of their own


class Known(NamedTuple):
    """What is known of a file before it is here."""

    size: int  # bytes
    md5: str


FILES: Mapping[str, Known] = {
    "clipart.zip": Known(1_270_909_081, "cd0d8f2d77a4e181449b78ed62bccf1e"),
    "infograph.zip": Known(4_338_659_804, "720380b86f9e6ab4805bb38b6bd135f8"),
    "painting.zip": Known(3_679_366_174, "1ae32cdb4f98fe7ab5eb0a351768abfd"),
    "quickdraw.zip": Known(459_920_701, "bdc1b6f09f277da1a263389efe0c7a66"),
    "real.zip": Known(6_062_039_589, "dcc47055e8935767784b7162e7c7cca6"),
    "sketch.zip": Known(2_633_992_926, "658d8009644040ff7ce30bb2e820850f"),
    "clipart_train.txt": Known(1_443_819, "b4349693a7f9c05c53955725c47ed6cb"),
    "clipart_test.txt": Known(628_917, "f5ddbcfd657a3acf9d0f7da10db22565"),
    "infograph_train.txt": Known(1_683_098, "379b50054f4ac2018dca4f89421b92d9"),
    "infograph_test.txt": Known(728_028, "779626b50869edffe8ea6941c3755c71"),
    "painting_train.txt": Known(2_241_901, "7db0e7ca73ad9982f6e1f7f3ef372c0a"),
    "painting_test.txt": Known(971_888, "232b35dc53f26d414686ae579e38d9b5"),
    "quickdraw_train.txt": Known(5_164_600, "b732ced3939ac8efdd8c0a889dca56cc"),
    "quickdraw_test.txt": Known(2_213_400, "c1a828fdfe216fb109f1c0083a252c6f"),
    "real_train.txt": Known(4_440_944, "8ebf02c2075fadd564705f0dc7cd6291"),
    "real_test.txt": Known(1_911_327, "6098816791c3ebed543c71ffa11b9054"),
    "sketch_train.txt": Known(1_960_222, "1233bd18aa9a8a200bf4cecf1c34ef3e"),
    "sketch_test.txt": Known(850_581, "d8a222e4672cfd585298aa14d02ea441"),
}
COUNTS: Mapping[str, tuple[int, int]] = {  # pictures of the training and of the test list
    "clipart": (33_525, 14_604),
    "infograph": (36_023, 15_582),
    "painting": (50_416, 21_850),
    "quickdraw": (120_750, 51_750),
    "real": (120_906, 52_041),
    "sketch": (48_212, 20_916),
}
KINDS = {
    "clipart": "clip art",
    "infograph": "infographics with a thing in them",
    "painting": "paintings and other artistic depictions",
    "quickdraw": "drawings of players of Quick, Draw!",
    "real": "photographs",
    "sketch": "sketches",
}
LICENCE = "none stated; offered for academic research under a fair use notice"
CITATION = (
    "@inproceedings{peng2019moment,\n"
    "  title = {Moment Matching for Multi-Source Domain Adaptation},\n"
    "  author = {Peng, Xingchao and Bai, Qinxun and Xia, Xide and Huang, Zijun and\n"
    "            Saenko, Kate and Wang, Bo},\n"
    "  booktitle = {Proceedings of the IEEE International Conference on Computer Vision},\n"
    "  pages = {1406--1415},\n"
    "  year = {2019}\n}"
)
HOMEPAGE = "http://ai.bu.edu/M3SDA/"

TRAPS = (
    "The archives still hold the 9,431 pictures that the cleaning removed (clipart 704, infograph "
    "1,596, painting 3,493, real 2,380, sketch 1,258). A walk over the folders gives the set "
    "before it was cleaned; only the lists count here.",
    "Labels are the integers of the lists. Their order is not that of a program's sort (cello is "
    "66, cell_phone 67), so that labels of an ImageFolder are other ones.",
    "painting has no training picture of a t-shirt and no test picture of a syringe; toe has one "
    "of each. A class without training pictures is no candidate of a probe, and its test pictures "
    "count as wrong; one without test pictures is not scored, and shown as –.",
    "There are archives of clipart and painting outside the folder groundtruth/: those of the "
    "challenge, laid out otherwise.",
    "A single domain is one class of the task domain; that task is for `domainnet`, all six "
    "joined.",
)


def _entry(name: str, domains: Sequence[str], description: str) -> CatalogueEntry:
    train = sum(COUNTS[domain][0] for domain in domains)
    test = sum(COUNTS[domain][1] for domain in domains)
    files = [f"{domain}{end}" for domain in domains for end in (".zip", "_train.txt", "_test.txt")]
    return CatalogueEntry(
        name=name,
        description=description,
        tasks={TASK: 345, DOMAIN: len(DOMAINS)},
        pictures=train + test,
        splits={TRAIN: train, TEST: test},
        licence=LICENCE,
        size=sum(FILES[file].size for file in files),
    )


ENTRIES = (
    *(
        _entry(f"{NAME}/{domain}", (domain,), f"DomainNet, cleaned: {KINDS[domain]}, 345 classes.")
        for domain in DOMAINS
    ),
    _entry(NAME, DOMAINS, "DomainNet, cleaned: 345 classes in six domains, all of them joined."),
)


def parts(name: str) -> tuple[str, ...]:
    """Names of the data sets that one stands for: the six domains, or none where it is one."""
    return tuple(f"{NAME}/{domain}" for domain in DOMAINS) if name == NAME else ()


def remotes(name: str) -> tuple[Remote, ...]:
    """Give the archive of a domain and its two lists; of `domainnet`, those of all six."""
    if name == NAME:
        return tuple(remote for part in parts(name) for remote in remotes(part))
    domain = name.removeprefix(f"{NAME}/")
    apart = "groundtruth/" if domain in CLEANED_APART else ""
    places = {
        f"{domain}.zip": f"{FOLDER}/{apart}{domain}.zip",
        f"{domain}_train.txt": f"{FOLDER}/domainnet/txt/{domain}_train.txt",
        f"{domain}_test.txt": f"{FOLDER}/domainnet/txt/{domain}_test.txt",
    }
    return tuple(
        Remote(
            file,
            urls=tuple(host + place for host in HOSTS),
            size=FILES[file].size,
            digest=f"md5:{FILES[file].md5}",
        )
        for file, place in places.items()
    )


@functools.cache
def class_folders() -> tuple[str, ...]:
    """Names of the 345 classes as the archives spell them, in the order of the lists' integers."""
    text = resources.files("cliplab.datasets").joinpath("domainnet_classes.txt").read_text("utf-8")
    return tuple(text.split())


def tasks() -> dict[str, Task]:
    """Give the kind of thing, which is the default, and the domain.

    The official lists leave some classes of a domain without a training or a test picture
    (painting: t-shirt and syringe), and a single domain is one class of the task `domain`.
    """
    names = readable_names(class_folders())
    return {
        TASK: Task(TASK, names, may_lack_training=True),
        DOMAIN: Task(DOMAIN, DOMAINS, may_lack_training=True),
    }


def card(name: str) -> Card:
    """Say where it comes from."""
    what = next(entry.description for entry in ENTRIES if entry.name == name)
    return Card(
        description=f"{what} Labels and splits are those of the official cleaned lists; pictures "
        "that the cleaning removed are left out, although the archives still hold them.",
        licence=LICENCE,
        citation=CITATION,
        homepage=HOMEPAGE,
    )


class Listed(NamedTuple):
    """What a list says of its pictures, in its order."""

    paths: list[str]  # "clipart/aircraft_carrier/clipart_001_000018.jpg"
    labels: np.ndarray  # (n,) int64 in 0..344


def parse_list(text: str, domain: str, where: str) -> Listed:
    """Read an official list: a path and the integer of its class on each line.

    Parameters
    ----------
    text
        Of the list.
    domain
        That its pictures belong to.
    where
        Name of the list, for messages.

    Raises
    ------
    DataError
        Lines that are no such pair, of another domain or class than their folder says, or that
        name a picture twice; with line numbers.
    """
    folders, faults = class_folders(), Faults()
    paths, labels = [], []
    seen: set[str] = set()
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        path, _, given = line.strip().rpartition(" ")
        steps = path.split("/")
        if len(steps) != 3 or not given.isdecimal() or int(given) >= len(folders):
            faults.add(f"line {number} is {line[:80]!r}, expected 'domain/class/picture label'")
        elif steps[0] != domain or steps[1] != folders[int(given)]:
            expected = f"{domain}/{folders[int(given)]}"
            faults.add(f"line {number}: {path} has label {given}, which is {expected}")
        elif path in seen:
            faults.add(f"line {number}: {path} stands in the list twice")
        seen.add(path)
        paths.append(path)
        labels.append(int(given) if given.isdecimal() else -1)
    faults.raise_any(f"{where} is not the official list of {domain}; fetch it again:")
    return Listed(paths, np.array(labels, dtype=np.int64))


def read_archives(name: str, files: Mapping[str, Path]) -> Dataset:
    """Give the data set of one domain, its pictures streamed from the archive.

    Rows stand in the order of the lists, training before test; a zip is read in any order. A
    picture that a list names and the archive lacks (or that is refused) is a row that cannot be
    read, for that reason.

    Raises
    ------
    DataError
        A list that is not the official one, a picture in both, an archive that holds none of the
        pictures.
    """
    from cliplab.datasets.archived import ArchivePictures
    from cliplab.datasets.picture_lists import members_of, text_of
    from cliplab.runtime.archives import list_members

    domain = name.removeprefix(f"{NAME}/")
    archive = files[f"{domain}.zip"]
    lists = []
    for split in (TRAIN, TEST):
        path = files[f"{domain}_{split}.txt"]
        lists.append(parse_list(text_of(path), domain, str(path)))
    train, test = lists
    if twice := set(train.paths) & set(test.paths):
        raise DataError(
            f"{len(twice)} pictures of {name} are in the training and the test list, such as "
            f"{min(twice)}; fetch the lists again."
        )
    ids = [*train.paths, *test.paths]
    members = members_of(list_members(archive), ids, archive.name)
    _check_layout(members, archive, domain)
    labels = np.concatenate([train.labels, test.labels])
    domains = np.full(len(ids), DOMAINS.index(domain), dtype=np.int64)
    splits = np.array([TRAIN] * len(train.paths) + [TEST] * len(test.paths), dtype=object)
    return Dataset(
        name=name,
        tasks=tasks(),
        ids=np.array(ids, dtype=object),
        labels={TASK: labels, DOMAIN: domains},
        splits={TASK: splits, DOMAIN: splits},
        digests=np.full(len(ids), "", dtype=object),
        source=ArchivePictures(members, {archive.name: archive}),
        card=card(name),
    )


def _check_layout(members: Sequence[Member | Refused], archive: Path, domain: str) -> None:
    """Refuse an archive that holds none of the pictures, as the challenge's own ones do."""
    from cliplab.runtime.archives import Member

    if not any(isinstance(member, Member) for member in members):
        raise DataError(
            f"{archive} holds none of the {len(members):,} pictures that the lists of {domain} "
            f"name, such as {members[0].name}. The archives of the VisDA challenge are laid out "
            f"otherwise; the cleaned one is at {remotes(f'{NAME}/{domain}')[0].urls[0]}."
        )


def open_entry(name: str, *, home: Path) -> Dataset:
    """Join the six prepared domains as `domainnet`; a domain that is not prepared is named.

    Raises
    ------
    DataError
        Saying which domains are not prepared, and how they come here.
    """
    from cliplab.datasets.picture_lists import not_prepared, prepared
    from cliplab.datasets.views import joined

    found = {part: prepared(part, home) for part in parts(name) or (name,)}
    missing = [part for part, dataset in found.items() if dataset is None]
    if missing:
        sizes = {entry.name: entry.size or 0 for entry in ENTRIES}
        raise not_prepared(name, missing, sum(sizes[part] for part in missing))
    return joined([dataset for dataset in found.values() if dataset], name=name, card=card(name))
