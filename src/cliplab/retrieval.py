"""Finding pictures: landmark queries by the Oxford benchmark's protocol, and captions both ways."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cliplab.embeddings.normalise import normalise
from cliplab.nouns import (
    TEST,
    Dataset,
    Embeddings,
    Encoder,
    Query,
    Record,
    Skipped,
    Task,
    digest_of,
)
from cliplab.protocol import RETRIEVAL, EvaluateConfig, Subject
from cliplab.runtime.clock import Clock
from cliplab.runtime.errors import DataError, Faults
from cliplab.runtime.storage import home as home_of

KS = (1, 5, 10)  # of the recalls
FIRST = 10  # found pictures that a record names for each query


class Found(NamedTuple):
    """What was scored, as a record holds it, and what it took."""

    retrieval: Mapping[str, Any]  # the block of that name
    n: int  # pictures searched
    skipped: Mapping[str, Sequence[Skipped]]
    n_encoded: int
    n_cached: int
    seconds: float  # of extraction
    seconds_encoder: float


def retrieve(
    subject: Subject,
    encoder: Encoder,
    config: EvaluateConfig,
    clock: Clock,
    *,
    told: Callable[[str], None] = lambda _line: None,
) -> Record:
    """Score how well pictures are found: by queries where the data set has them, else by captions.

    Queries follow the original benchmark of Oxford and Paris (Philbin et al. 2007; 2008): the boxed
    part of the query's picture is encoded, all pictures of the data set are ranked by cosine, the
    query's own among them; good and ok ones are wanted, junk is passed over; mean average
    precision. A wanted picture that is missing or cannot be read counts as never found.

    Captions follow CLIP_benchmark: of the pictures of the split, recall at 1, 5 and 10 of a
    caption's picture (`image_retrieval_recall`), and of any of a picture's captions
    (`text_retrieval_recall`). Pictures without a caption are left out.

    Parameters
    ----------
    subject
        What `open_subject` gives for `NAME:retrieval`.
    encoder, config, clock, told
        As for `evaluate`.
    """
    from cliplab.report.blocks import encoder_block
    from cliplab.report.headline import headline

    data = subject.dataset
    by_queries = bool(data.queries)
    rows = np.arange(len(data)) if by_queries else _captioned(data, config.split)
    settings = _settings(data, rows, encoder, config)
    about = {"kind": "queries" if by_queries else "captions", "settings": settings}
    told(headline({"encoder": encoder_block(encoder), "retrieval": about}))
    search = _by_queries if by_queries else _by_captions
    found = search(data, rows, encoder, config)
    clock("retrieval")
    block = {**about, **found.retrieval}
    return _write(subject, encoder, config, found._replace(retrieval=block), clock)


def asked_digest(data: Dataset) -> str:
    """Hex SHA-256 of what is asked for: the queries with their boxes and answers, or captions."""
    if data.queries:
        return digest_of([list(query) for query in data.queries])
    return digest_of([list(captions) for captions in data.captions or ()])


def _settings(
    data: Dataset, rows: np.ndarray, encoder: Encoder, config: EvaluateConfig
) -> dict[str, Any]:
    pre = config.features == "pre" and encoder.feature_width is not None
    counted: dict[str, Any] = {"features": "pre" if pre else "post", "n_pictures": len(rows)}
    counted["digest"] = asked_digest(data)
    if data.queries:
        return {**counted, "n_queries": len(data.queries)}
    assert data.captions is not None
    return {**counted, "n_captions": sum(len(data.captions[row]) for row in rows)}


def _embed(
    data: Dataset, rows: np.ndarray, encoder: Encoder, config: EvaluateConfig
) -> tuple[Embeddings, Any]:
    from cliplab.embeddings.extract import ExtractConfig, embed

    settings = ExtractConfig(
        batch_size=config.batch_size,
        workers=config.workers,
        on_bad=config.on_bad,
        max_pixels=config.max_pixels,
    )
    task = next(iter(data.tasks))
    return embed(data, encoder, task=task, rows=rows, config=settings, home=home_of(config.home))


# ------------------------------------------------------------------------------- by queries


def _by_queries(data: Dataset, rows: np.ndarray, encoder: Encoder, config: EvaluateConfig) -> Found:
    from cliplab.metrics.retrieval import mean_over_queries

    regions = query_regions(data, config.max_pixels)
    asked, asking = _embed(regions, np.arange(len(regions)), encoder, config)
    database, searching = _embed(data, rows, encoder, config)
    place = {str(id_): i for i, id_ in enumerate(database.ids)}
    vectors, regarded = (_unit(seen, config) for seen in (database, asked))
    by_name = {query.name: query for query in data.queries}
    entries = [
        _answer(by_name[str(name)], vectors @ vector, place, database.ids)
        for name, vector in zip(asked.ids, regarded, strict=True)
    ]
    groups = []
    for landmark in dict.fromkeys(entry["landmark"] for entry in entries):
        own = np.array([e["average_precision"] for e in entries if e["landmark"] == landmark])
        measure = mean_over_queries(own, config.seed)
        groups.append({"name": landmark, "n": len(own), **measure._asdict()})
    precisions = np.array([entry["average_precision"] for entry in entries])
    retrieval = {
        "metrics": {"mAP": mean_over_queries(precisions, config.seed)._asdict()},
        "groups": groups,
        "queries": entries,
    }
    skipped = {"queries": asked.skipped, "all": database.skipped}
    return _found(retrieval, len(database), skipped, (asking, searching))


def _answer(
    query: Query, cosines: np.ndarray, place: Mapping[str, int], ids: np.ndarray
) -> dict[str, Any]:
    """Rank the pictures for a query and score the ranking."""
    from cliplab.metrics.retrieval import JUNK, OTHER, WANTED, average_precision

    kinds = np.full(len(ids), OTHER, dtype=np.int64)
    junk = set(query.junk)
    wanted = set(query.good) | set(query.ok)
    for kind, members in ((WANTED, wanted), (JUNK, junk)):
        kinds[[place[id_] for id_ in members if id_ in place]] = kind
    n_wanted = len(wanted - junk)
    order = np.argsort(-cosines, kind="stable")
    order = order[kinds[order] != JUNK]
    return {
        "name": query.name,
        "id": query.id,
        "landmark": _landmark(query.name),
        "average_precision": average_precision(kinds[order], n_wanted),
        "n_wanted": n_wanted,
        "n_missing": n_wanted - int((kinds == WANTED).sum()),
        "n_junk": int((kinds == JUNK).sum()),
        "first": [str(ids[i]) for i in order[:FIRST]],
    }


def _landmark(name: str) -> str:
    """`all_souls_1` asks for `all_souls`."""
    head, _, number = name.rpartition("_")
    return head if head and number.isdigit() else name


def _unit(seen: Embeddings, config: EvaluateConfig) -> np.ndarray:
    """(N, D) float32 of unit length: after the projection, unless asked for before it."""
    from cliplab.classifiers.family import ProbeConfig, inputs

    return normalise(inputs(seen, ProbeConfig(features=config.features or "post")))


def query_regions(data: Dataset, max_pixels: int | None = None) -> Dataset:
    """Give the boxed parts of the queries' pictures as a data set, the queries' names as ids.

    Boxes are in pixels of the upright picture, rounded, and cut off at its edges. What a part holds
    follows from the picture and the box, so that the vectors of parts are kept as any others.

    Raises
    ------
    DataError
        A query whose picture the data set lacks, or for which nothing is wanted; all are named.
    """
    from cliplab.pictures.decode import MAX_PIXELS

    row_of = {str(id_): row for row, id_ in enumerate(data.ids)}
    faults = Faults()
    for query in data.queries:
        if query.id not in row_of:
            faults.add(f"query {query.name}: its picture {query.id!r} is not in the data set")
        if not (set(query.good) | set(query.ok)) - set(query.junk):
            faults.add(f"query {query.name}: no picture is wanted")
    faults.raise_any(f"The queries of {data.name!r} cannot be asked; prepare it anew:")
    names = tuple(query.name for query in data.queries)
    rows = [row_of[query.id] for query in data.queries]
    boxes = [tuple(map(float, query.box)) for query in data.queries]
    digests = [
        data.digests[row] and digest_of([str(data.digests[row]), list(box)])
        for row, box in zip(rows, boxes, strict=True)
    ]
    return Dataset(
        name=f"{data.name} queries",
        tasks={"query": Task("query", names)},
        ids=np.array(names, dtype=object),
        labels={"query": np.arange(len(names), dtype=np.int64)},
        splits={"query": np.full(len(names), TEST, dtype=object)},
        digests=np.array(digests, dtype=object),
        source=_Regions(data, tuple(rows), tuple(boxes), names, max_pixels or MAX_PIXELS),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Regions:
    """Parts of pictures as a source: decoded, cut out, given as PNG, which loses nothing."""

    data: Dataset
    rows: tuple[int, ...]  # of the pictures
    boxes: tuple[tuple[float, ...], ...]  # left, top, right, bottom, in pixels
    names: tuple[str, ...]  # of the queries
    max_pixels: int

    def open(self, rows: Sequence[int]) -> Iterator[Callable[[], bytes]]:
        """For each row, a callable that gives the part; see `nouns.PictureSource`."""
        whole = self.data.source.open([self.rows[row] for row in rows])
        for row, read in zip(rows, whole, strict=True):
            yield partial(_region, read, self.boxes[row], self.names[row], self.max_pixels)


def _region(read: Callable[[], bytes], box: Sequence[float], name: str, max_pixels: int) -> bytes:
    from cliplab.pictures.decode import decode
    from cliplab.pictures.unreadable import UnreadablePicture

    data = read()
    try:
        picture = decode(data, max_pixels=max_pixels)
    except UnreadablePicture:
        return data  # whoever decodes it is told why it cannot be
    left, top = max(0, round(box[0])), max(0, round(box[1]))
    right, bottom = min(picture.width, round(box[2])), min(picture.height, round(box[3]))
    if right <= left or bottom <= top:
        raise DataError(
            f"The box {list(box)} of the query {name} lies outside of its picture of "
            f"{picture.width} x {picture.height} pixels: the ground truth belongs to other "
            "pictures. Prepare the data set anew."
        )
    stream = io.BytesIO()
    picture.crop((left, top, right, bottom)).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


# ------------------------------------------------------------------------------- by captions


def _captioned(data: Dataset, split: str) -> np.ndarray:
    """Rows (n,) int64 of the pictures of a split that have a caption."""
    assert data.captions is not None
    has = np.array([bool(captions) for captions in data.captions])
    splits = data.splits[next(iter(data.splits))]
    rows = np.flatnonzero(has if split == "all" else has & (splits == split))
    if len(rows) < 2:
        there = ", ".join(f"{s or 'no split'} {(has & (splits == s)).sum():,}" for s in set(splits))
        raise DataError(
            f"{data.name!r} has {len(rows)} pictures with a caption in the split {split!r}; "
            f"finding takes at least two. With captions: {there}. Choose with --split."
        )
    return rows


def _by_captions(
    data: Dataset, rows: np.ndarray, encoder: Encoder, config: EvaluateConfig
) -> Found:
    from cliplab.embeddings.texts import encode_texts
    from cliplab.metrics.retrieval import caption_ranks, recall

    assert data.captions is not None
    seen, stats = _embed(data, rows, encoder, config)
    row_of = {str(id_): row for row, id_ in enumerate(data.ids)}
    captions = [data.captions[row_of[str(id_)]] for id_ in seen.ids]
    texts = [text for own in captions for text in own]
    owner = np.repeat(np.arange(len(captions)), [len(own) for own in captions])
    distinct = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    encoded = normalise(encode_texts(encoder, list(distinct), home=home_of(config.home)))
    pictures = _unit(seen, config)
    ranks = caption_ranks(pictures, encoded[[distinct[text] for text in texts]], owner)
    n, n_texts = len(pictures), len(texts)
    metrics = {}
    for k in KS:
        found = recall(ranks.of_picture, owner, k, n, config.seed)
        metrics[f"image_retrieval_recall@{k}"] = found._asdict()
    for k in KS:
        found = recall(ranks.of_caption, np.arange(n), k, n_texts, config.seed)
        metrics[f"text_retrieval_recall@{k}"] = found._asdict()
    retrieval = {"metrics": metrics, "groups": [], "queries": []}
    return _found(retrieval, n, {config.split: seen.skipped}, (stats,))


# ------------------------------------------------------------------------------- the record


def _found(
    retrieval: Mapping[str, Any],
    n: int,
    skipped: Mapping[str, Sequence[Skipped]],
    stats: Sequence[Any],
) -> Found:
    return Found(
        retrieval,
        n,
        skipped,
        sum(one.n_encoded for one in stats),
        sum(one.n_cached for one in stats),
        sum(one.seconds for one in stats),
        sum(one.seconds_encoder for one in stats),
    )


def _write(
    subject: Subject, encoder: Encoder, config: EvaluateConfig, found: Found, clock: Clock
) -> Record:
    from cliplab.report.blocks import encoder_block, searched_block
    from cliplab.report.record import make_record, write_run
    from cliplab.report.runs import new_run_folder
    from cliplab.runtime.machine import machine, versions

    data = subject.dataset
    split = "all" if data.queries else config.split
    name = f"{data.name}-{RETRIEVAL}"
    record = make_record(
        run=config.out or new_run_folder(Path("runs"), name, encoder.name),
        dataset=searched_block(data, RETRIEVAL, split, found.n),
        encoder=encoder_block(encoder),
        results=[],
        prompts=None,
        protocol=_in_words(data, found.retrieval["settings"]),
        config=config.as_json(),
        timings=_timings(found, clock),
        machine=machine(encoder.device),
        versions=versions(),
        seed=config.seed,
        skipped=found.skipped,
        retrieval=found.retrieval,
    )
    write_run(record.run, record, {})
    return record


def _in_words(data: Dataset, settings: Mapping[str, Any]) -> str:
    where = "before the projection" if settings["features"] == "pre" else "after the projection"
    if data.queries:
        return (
            "The boxed part of each query's picture against all pictures, by cosine of the vectors "
            f"{where}; good and ok are wanted, junk is passed over; average precision by the "
            "trapezoid rule of the original benchmark; intervals over queries."
        )
    return (
        "Captions and pictures by cosine. image_retrieval_recall: a caption's picture is among the "
        "first k; text_retrieval_recall: any of a picture's captions is; intervals over pictures."
    )


def _timings(found: Found, clock: Clock) -> dict[str, float | None]:
    rate = found.n_encoded / found.seconds if found.n_encoded and found.seconds else None
    return {
        **clock.seconds,
        "encoder": round(found.seconds_encoder, 4),
        "pictures_encoded": found.n_encoded,
        "pictures_cached": found.n_cached,
        "pictures_per_second": None if rate is None else round(rate, 2),
    }
