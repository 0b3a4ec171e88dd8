"""Which pictures a page shows: those that tell most, overall, by class and by confused pair.

M scored pictures, C classes. Rows are those of the predictions; arrays in, rows out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import NamedTuple, TypeVar

import numpy as np

from cliplab.nouns import Predictions

MISTAKES, HITS = 24, 12  # shown of all classes together
CLASS_MISTAKES, CLASS_HITS = 6, 3  # of one class
PAIRS, OF_PAIR = 60, 6  # confused pairs, and pictures of each

Key = TypeVar("Key")


class Choice(NamedTuple):
    """The pictures that are shown of one classifier, as rows of its predictions."""

    mistakes: tuple[int, ...]  # the most confident first
    hits: tuple[int, ...]  # the least confident first
    class_mistakes: Mapping[int, tuple[int, ...]]  # class given → rows
    class_hits: Mapping[int, tuple[int, ...]]
    pairs: Mapping[tuple[int, int], tuple[int, ...]]  # (given, said) → rows


def confidence(predictions: Predictions) -> np.ndarray:
    """(M,) float64 probability of the predicted class, in 0..1."""
    highest = predictions.scores.max(axis=1).astype(np.float64)
    return np.asarray(np.exp(highest).clip(0, 1))


def choose(predictions: Predictions) -> Choice:
    """Choose the most confident mistakes and the least confident hits.

    Of equally confident ones the first of the data set comes first.
    """
    sure, said = confidence(predictions), predictions.predicted
    order = np.argsort(-sure, kind="stable")
    wrong = order[said[order] != predictions.labels[order]]
    order = np.argsort(sure, kind="stable")
    right = order[said[order] == predictions.labels[order]]
    given = predictions.labels
    return Choice(
        tuple(wrong[:MISTAKES].tolist()),
        tuple(right[:HITS].tolist()),
        _first_of_each(wrong, given[wrong].tolist(), CLASS_MISTAKES),
        _first_of_each(right, given[right].tolist(), CLASS_HITS),
        _pairs(wrong, list(zip(given[wrong].tolist(), said[wrong].tolist(), strict=True))),
    )


def _first_of_each(rows: np.ndarray, keys: Sequence[Key], most: int) -> dict[Key, tuple[int, ...]]:
    found: dict[Key, list[int]] = {}
    for row, key in zip(rows.tolist(), keys, strict=True):
        of_key = found.setdefault(key, [])
        if len(of_key) < most:
            of_key.append(row)
    return {key: tuple(of_key) for key, of_key in found.items()}


def _pairs(
    wrong: np.ndarray, pairs: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], tuple[int, ...]]:
    counts: dict[tuple[int, int], int] = {}
    for pair in pairs:
        counts[pair] = counts.get(pair, 0) + 1
    worst = sorted(counts, key=lambda pair: (-counts[pair], pair))[:PAIRS]
    shown = _first_of_each(wrong, pairs, OF_PAIR)
    return {pair: shown[pair] for pair in worst}


def by_weight(choices: Sequence[Choice], most: int) -> list[int]:
    """Order the rows of all choices, each once, so that a cut at any place leaves a fair page.

    First what is shown of all classes, then the first picture of each pair and class, then the
    second, and so on; the classifiers in turn.
    """
    found: dict[int, None] = {}
    for round_ in zip_longest(*map(_rounds, choices), fillvalue=()):
        for row in _in_turn(round_):
            found.setdefault(row)
            if len(found) == most:
                return list(found)
    return list(found)


def _rounds(choice: Choice) -> Iterator[tuple[int, ...]]:
    yield choice.mistakes + choice.hits
    lists = [*choice.pairs.values(), *choice.class_mistakes.values(), *choice.class_hits.values()]
    for place in range(max(map(len, lists), default=0)):
        yield tuple(rows[place] for rows in lists if place < len(rows))


def _in_turn(rounds: Sequence[Sequence[int]]) -> Iterator[int]:
    for together in zip_longest(*rounds):
        yield from (row for row in together if row is not None)
