"""What a page's script is given of one run: confusion counts, the gallery, the map; plain JSON.

Class names and ids go as they are: the script sets them as text. Pictures are places on the shelf.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from cliplab.nouns import Dataset, Predictions, Record
from cliplab.report.embedding_map import EmbeddingMap, drawn
from cliplab.report.gallery import Choice, by_weight, choose, confidence
from cliplab.report.headline import classifier_title
from cliplab.report.record import Run
from cliplab.report.shelf import Shelf

PICTURES = 1600  # of the galleries of all runs of a page
POINTS = 2000  # of the maps of all runs of a page
DOT = 56  # pixels of the pictures that the map alone shows
FOR_GALLERY = 0.7  # of what a run may take of the budget


class RunData(NamedTuple):
    """The JSON of a run, and how many pictures its map draws."""

    confusion: dict[str, Any]
    gallery: dict[str, Any]
    map: dict[str, Any] | None
    n_drawn: int


def run_data(
    run: Run,
    seen: EmbeddingMap | None,
    data: Dataset | None,
    shelf: Shelf,
    *,
    n_runs: int = 1,
) -> RunData:
    """Choose what a run shows, and put its pictures on the shelf.

    Parameters
    ----------
    run
        Record and predictions.
    seen
        Where its pictures lie; None: there is no map.
    data
        Its pictures; None: they are not to be had.
    shelf
        Of the page.
    n_runs
        That are still to share what is left of the budget, this one among them.
    """
    told = [run.predictions[r["classifier"]["name"]] for r in run.record["results"]]
    choices = [choose(predictions) for predictions in told]
    rows = by_weight(choices, PICTURES // n_runs)
    points = np.empty(0, dtype=np.int64)
    if seen is not None and told:
        points = drawn(told[0].labels, POINTS // n_runs)
    ids = told[0].ids if told else np.empty(0, dtype=object)
    if data is not None and told:
        shelf.fill(data, ids[rows].tolist(), share=FOR_GALLERY / n_runs)
        left = (1 - FOR_GALLERY) / (n_runs - FOR_GALLERY)
        shelf.fill(data, ids[points].tolist(), edge=DOT, share=left)
    digest = run.record["dataset"]["digest"]
    places = {id_: shelf.place(digest, id_) for id_ in ids[[*rows, *points.tolist()]].tolist()}
    return RunData(
        _confusion(run.record),
        _gallery(run.record, told, choices, rows, places),
        None if seen is None or not told else _map(told, seen, points, places),
        len(points),
    )


def _names(record: Record) -> list[str]:
    results = record["results"]
    return [row["name"] for row in results[0]["per_class"]] if results else []


def _titles(record: Record) -> list[str]:
    return [classifier_title(result["classifier"]["name"]) for result in record["results"]]


def _confusion(record: Record) -> dict[str, Any]:
    return {
        "names": _names(record),
        "n": [row["n"] for row in record["results"][0]["per_class"]] if record["results"] else [],
        "classifiers": _titles(record),
        "cells": [result["confusion"] for result in record["results"]],
    }


def _gallery(
    record: Record,
    told: Sequence[Predictions],
    choices: Sequence[Choice],
    rows: Sequence[int],
    places: Mapping[str, int | None],
) -> dict[str, Any]:
    at = {row: i for i, row in enumerate(rows)}

    def shown(some: Sequence[int]) -> list[int]:
        return [at[row] for row in some if row in at]

    return {
        "names": _names(record),
        "classifiers": _titles(record),
        "pictures": _pictures(told, rows, places),
        "choices": [
            {
                "mistakes": shown(choice.mistakes),
                "hits": shown(choice.hits),
                "class_mistakes": {c: shown(r) for c, r in choice.class_mistakes.items()},
                "class_hits": {c: shown(r) for c, r in choice.class_hits.items()},
                "pairs": [[*pair, shown(r)] for pair, r in choice.pairs.items()],
            }
            for choice in choices
        ],
    }


def _pictures(
    told: Sequence[Predictions], rows: Sequence[int], places: Mapping[str, int | None]
) -> list[dict[str, Any]]:
    found = []
    for row in rows:
        id_ = str(told[0].ids[row])
        label = int(told[0].labels[row])
        says = []
        for predictions in told:
            said = int(predictions.scores[row].argmax())
            says.append([said, *_shares(predictions.scores[row, [said, label]])])
        found.append({"id": id_, "label": label, "says": says, "at": places.get(id_)})
    return found


def _shares(scores: np.ndarray) -> list[float]:
    """Percent with one decimal of log-probabilities."""
    return [round(100 * float(np.exp(score)), 1) for score in scores]


def _map(
    told: Sequence[Predictions],
    seen: EmbeddingMap,
    points: np.ndarray,
    places: Mapping[str, int | None],
) -> dict[str, Any]:
    row_of = {str(id_): i for i, id_ in enumerate(seen.ids)}
    ids = [str(id_) for id_ in told[0].ids[points]]
    where = seen.points[[row_of[id_] for id_ in ids]] if ids else np.empty((0, 2))
    sure = [confidence(predictions)[points] for predictions in told]
    return {
        "x": [round(float(x), 4) for x in where[:, 0]],
        "y": [round(float(y), 4) for y in where[:, 1]],
        "ids": ids,
        "labels": told[0].labels[points].tolist(),
        "said": [predictions.predicted[points].tolist() for predictions in told],
        "sure": [[round(100 * float(p), 1) for p in one] for one in sure],
        "at": [places.get(id_) for id_ in ids],
        "shares": [round(100 * share, 1) for share in seen.shares],
        "n": len(told[0].ids),
    }
