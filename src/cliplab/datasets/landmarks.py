"""What the Oxford and the Paris buildings share: archives of photographs, ground truth, queries.

A photograph's file is named after the word that Flickr was searched for, which says what somebody
tagged, not what can be seen: *general* and *oxford* show anything, and queries of a landmark may be
called `paris_general_…`. So there are two tasks: the search word of each photograph, and the
landmark of those that people have looked at for it (good or ok in the ground truth).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cliplab.datasets.splits import fixed_split
from cliplab.nouns import UNLABELLED, Card, Dataset, Query, Task
from cliplab.runtime.errors import DataError, Faults
from cliplab.runtime.progress import say

if TYPE_CHECKING:
    from cliplab.runtime.archives import Listing, Member, Refused

WORD, LANDMARK = "query_word", "landmark"  # tasks
QUERIES_A_LANDMARK = 5
_NUMBER = re.compile(r"_\d+$")
_TRUTH = re.compile(r"(?P<landmark>.+)_(?P<number>\d+)_(?P<kind>good|ok|junk|query)\.txt")


@dataclass(frozen=True, slots=True)
class Buildings:
    """One of the two data sets, in the words of its archives."""

    name: str
    words: tuple[str, ...]  # search words, which file names begin with; in label order
    landmarks: tuple[str, ...]  # of the ground truth, in label order
    word_names: tuple[str, ...]  # in words, as `words`
    landmark_names: tuple[str, ...]  # in words, as `landmarks`
    archives: tuple[str, ...]  # names of the archives of photographs
    truth: str  # name of the archive of the ground truth
    card: Card
    complete: tuple[int, ...]  # how many photographs the complete archives hold
    prefix: str = ""  # that file names have before the search word
    query_prefix: str = ""  # that the ground truth has before a query's file name
    damaged: tuple[str, ...] = field(default=())  # file names known to be damaged at the source
    catch_all: tuple[str, ...] = ()  # of word_names: the words that anything was tagged with


def word_of(file: str, prefix: str = "") -> str:
    """Search word of a photograph by its file name: all before the last number.

    >>> word_of("radcliffe_camera_000523.jpg"), word_of("paris_general_002985.jpg", "paris_")
    ('radcliffe_camera', 'general')
    """
    return _NUMBER.sub("", PurePosixPath(file).stem.removeprefix(prefix))


class Truth(NamedTuple):
    """The ground truth as it is used: what the archive's photographs show, and the queries."""

    queries: tuple[Query, ...]
    landmarks: Mapping[str, str]  # id → landmark, of photographs good or ok for that one alone
    several: tuple[str, ...]  # ids of photographs good or ok for more than one landmark
    absent: int  # names in it of photographs that are not in the archives


def parse_truth(texts: Mapping[str, str], ids: Iterable[str], query_prefix: str = "") -> Truth:
    """Read the files of the ground truth.

    `<landmark>_<n>_query.txt` holds a file name and a box; `…_good.txt`, `…_ok.txt` and
    `…_junk.txt` hold a file name a line. A photograph has a landmark if any of the landmark's
    five queries calls it good or ok; one that has two landmarks shows both, so that neither is its
    class: it has none.

    Parameters
    ----------
    texts
        File name → contents; other files than those are passed over.
    ids
        Of the photographs at hand: file names with their suffix. Names that are not among them are
        left out and counted, with a query whose own photograph is not.
    query_prefix
        Before the name of a query's photograph: "oxc1_" in Oxford.

    Raises
    ------
    DataError
        If a file of a query is missing, or its line is no name with a box; all faults are named.
    """
    by_stem = {PurePosixPath(id_).stem: id_ for id_ in ids}
    found: dict[str, dict[str, str]] = {}
    for name, text in texts.items():
        if match := _TRUTH.fullmatch(PurePosixPath(name).name):
            query = f"{match['landmark']}_{match['number']}"
            found.setdefault(query, {})[match["kind"]] = text
    faults, queries, shown = Faults(), [], dict[str, set[str]]()
    absent: set[str] = set()
    for query, kinds in sorted(found.items()):
        if missing := [kind for kind in ("query", "good", "ok", "junk") if kind not in kinds]:
            faults.add(f"{query}_{missing[0]}.txt is missing")
            continue
        named = {kind: dict.fromkeys(kinds[kind].split()) for kind in ("good", "ok", "junk")}
        absent |= {stem for stems in named.values() for stem in stems if stem not in by_stem}
        lists = [tuple(by_stem[s] for s in stems if s in by_stem) for stems in named.values()]
        for id_ in (*lists[0], *lists[1]):
            shown.setdefault(id_, set()).add(_NUMBER.sub("", query))
        line = kinds["query"].split()
        if len(line) != 5 or not all(map(_is_number, line[1:])):
            faults.add(f"{query}_query.txt holds {' '.join(line)[:60]!r}, not a name and a box")
            continue
        stem = line[0].removeprefix(query_prefix)
        if stem not in by_stem:
            absent.add(stem)
            continue
        left, top, right, bottom = map(float, line[1:])
        queries.append(Query(query, by_stem[stem], (left, top, right, bottom), *lists))
    faults.raise_any("The ground truth is not complete; fetch its archive again:")
    alone = {id_: next(iter(names)) for id_, names in shown.items() if len(names) == 1}
    several = tuple(sorted(id_ for id_, names in shown.items() if len(names) > 1))
    return Truth(tuple(queries), alone, several, len(absent))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def read_buildings(buildings: Buildings, files: Mapping[str, Path]) -> Dataset:
    """Give a data set of buildings, its photographs streamed from the archives.

    Ids are the names of the files without their folder, so that they do not depend on how an
    archive is laid out; rows stand in the archives' order. A file known to be damaged at the source
    is a row in any case, so that the fixed split is the same whatever a copy holds in its place.

    Raises
    ------
    DataError
        If the archives hold no such photographs, a file of another name among them, or a ground
        truth that is not complete.
    """
    from cliplab.datasets.archived import ArchivePictures
    from cliplab.runtime.archives import list_members

    paths = [files[archive] for archive in buildings.archives]
    members = _photographs(buildings, [list_members(path) for path in paths])
    ids = np.array(list(members), dtype=object)
    truth = parse_truth(_texts(files[buildings.truth]), ids, buildings.query_prefix)
    labels = {
        WORD: _numbered([word_of(id_, buildings.prefix) for id_ in ids], buildings.words),
        LANDMARK: _numbered([truth.landmarks.get(id_, "") for id_ in ids], buildings.landmarks),
    }
    _tell(buildings, len(ids), truth)
    return Dataset(
        name=buildings.name,
        tasks={
            WORD: Task(WORD, buildings.word_names, catch_all=buildings.catch_all),
            LANDMARK: Task(LANDMARK, buildings.landmark_names),
        },
        ids=ids,
        labels=labels,
        splits={task: fixed_split(ids, values) for task, values in labels.items()},
        digests=np.full(len(ids), "", dtype=object),
        source=ArchivePictures(list(members.values()), {path.name: path for path in paths}),
        card=buildings.card,
        split_origin="fixed",
        queries=truth.queries,
    )


def _photographs(buildings: Buildings, listings: Sequence[Listing]) -> dict[str, Member | Refused]:
    """File name → member, in the archives' order; of two of one name, the first."""
    from cliplab.runtime.archives import Refused

    found: dict[str, Member | Refused] = {}
    faults = Faults()
    for listing in listings:
        for member in listing.members:
            file = PurePosixPath(member.name)
            if file.suffix.lower() not in (".jpg", ".jpeg") or file.name.startswith("."):
                continue
            if word_of(file.name, buildings.prefix) not in buildings.words:
                faults.add(f"{member.name} in {member.archive}")
            found.setdefault(file.name, member)
        for refused in listing.refused:
            file = PurePosixPath(refused.name)
            if word_of(file.name, buildings.prefix) in buildings.words:
                found.setdefault(file.name, refused)
    names = ", ".join(buildings.archives)
    faults.raise_any(
        f"{buildings.name}: photographs whose names begin with none of the {len(buildings.words)} "
        f"search words. Is this {names}?"
    )
    if not found:
        raise DataError(f"{names}: no photographs in them. Fetch them again.")
    for name in buildings.damaged:
        found.setdefault(name, Refused(name, "known to be damaged at the source, and not here"))
    return found


def _texts(path: Path) -> dict[str, str]:
    """Texts of the ground truth's archive by name."""
    from cliplab.datasets.archived import ArchivePictures
    from cliplab.runtime.archives import list_members

    members = [m for m in list_members(path).members if m.name.endswith(".txt")]
    source = ArchivePictures(members, {path.name: path})
    pairs = zip(members, source.open(range(len(members))), strict=True)
    return {member.name: read().decode("utf-8", "replace") for member, read in pairs}


def _numbered(names: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    number = {name: label for label, name in enumerate(classes)}
    return np.array([number.get(name, UNLABELLED) for name in names], dtype=np.int64)


def _tell(buildings: Buildings, n: int, truth: Truth) -> None:
    """Say on stderr how what was found differs from what is known."""
    if n not in buildings.complete:
        whole = " or ".join(f"{count:,}" for count in buildings.complete)
        say(f"{buildings.name}: {n:,} photographs; the complete archives hold {whole}.")
    expected = QUERIES_A_LANDMARK * len(buildings.landmarks)
    if truth.absent or len(truth.queries) != expected:
        say(
            f"{buildings.name}: {truth.absent:,} photographs of the ground truth are not in the "
            f"archives; {len(truth.queries)} of {expected} queries are left."
        )
