from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from cliplab.datasets.duplicates import deduplicated, doubles, picture_keys
from cliplab.datasets.views import Column, columns_of, joined, view
from cliplab.nouns import Card, Query, Task
from cliplab.runtime.errors import DataError


def read(dataset, rows):
    return [content() for content in dataset.source.open(rows)]


@pytest.fixture
def noise(make_dataset):
    return make_dataset(30)


@pytest.fixture
def cats(noise):
    """A view of the cats alone, by whether their number is even."""
    numbers = np.arange(30)
    labels = np.where(noise.labels["label"] == 0, numbers % 2, -1)
    column = Column(Task("parity", ("even", "odd")), labels, noise.splits["label"])
    return view(noise, [column], name="noise/cats", split_origin="fixed")


def test_a_view_has_the_labelled_pictures_and_its_own_tasks(noise, cats):
    rows = np.flatnonzero(noise.labels["label"] == 0)
    assert cats.name == "noise/cats"
    assert list(cats.tasks) == list(cats.labels) == list(cats.splits) == ["parity"]
    assert list(cats.ids) == list(noise.ids[rows])
    assert list(cats.labels["parity"]) == [row % 2 for row in rows]
    assert list(cats.splits["parity"]) == list(noise.splits["label"][rows])
    assert cats.captions == [noise.captions[row] for row in rows]
    assert cats.split_origin == "fixed"
    assert cats.card == noise.card


def test_pictures_of_a_view_are_read_where_they_lie_in_any_order(noise, cats):
    for rows in ([3, 0, 3, 1], range(len(cats)), np.array([2, 1]), []):
        digests = [hashlib.sha256(content).hexdigest() for content in read(cats, rows)]
        assert digests == list(cats.digests[list(rows)])


def test_a_view_of_a_view(noise, cats):
    even = cats.labels["parity"].copy()
    even[even == 1] = -1
    column = Column(Task("even", ("even", "none")), even, cats.splits["parity"])
    found = view(cats, [column], name="even", card=Card("Even ones."))
    assert all(int(id_[-8:-4]) % 2 == 0 for id_ in found.ids)
    assert [hashlib.sha256(c).hexdigest() for c in read(found, range(len(found)))] == list(
        found.digests
    )
    assert found.card.description == "Even ones."


def test_queries_of_pictures_that_are_left_out_are_left_out(noise):
    queries = [Query(str(i), noise.ids[i], (0, 0, 1, 1), (), (), ()) for i in (3, 4)]
    column = Column(
        Task("t", ("a", "b")), np.where(np.arange(30) < 4, 0, -1), noise.splits["label"]
    )
    found = view(replace(noise, queries=tuple(queries)), [column], name="few")
    assert [query.name for query in found.queries] == ["3"]


def test_a_view_of_nothing_is_refused(noise):
    column = Column(noise.task(), np.full(30, -1), noise.splits["label"])
    with pytest.raises(DataError, match="would have no pictures"):
        view(noise, [column], name="none")


def parts_of(make_dataset, *sizes):
    for number, size in enumerate(sizes):
        made = make_dataset(
            size, captions=None, name=f"part{number}", archives={f"{number}.zip": "d"}
        )
        yield replace(made, ids=np.array([f"{number}/{id_}" for id_ in made.ids], dtype=object))


def test_joined_data_sets_follow_one_another(make_dataset):
    parts = list(parts_of(make_dataset, 5, 9, 3))
    whole = joined(parts, name="all", card=Card("All."))
    assert (whole.name, len(whole)) == ("all", 17)
    assert list(whole.ids) == [id_ for part in parts for id_ in part.ids]
    for column in ("labels", "splits"):
        expected = [x for part in parts for x in getattr(part, column)["label"]]
        assert list(getattr(whole, column)["label"]) == expected
    assert dict(whole.archives) == {"0.zip": "d", "1.zip": "d", "2.zip": "d"}
    for rows in (range(17), [16, 0, 5, 4, 13, 14, 5], np.array([13, 2]), []):
        digests = [hashlib.sha256(content).hexdigest() for content in read(whole, rows)]
        assert digests == list(whole.digests[list(rows)])


def test_what_follows_in_one_part_is_asked_of_it_together(make_dataset):
    parts = list(parts_of(make_dataset, 4, 4))
    asked = []

    class Told:
        def __init__(self, number, source):
            self.number, self.source = number, source

        def open(self, rows):
            asked.append((self.number, list(rows)))
            return self.source.open(rows)

    told = [replace(part, source=Told(i, part.source)) for i, part in enumerate(parts)]
    read(joined(told, name="all", card=Card()), [0, 1, 3, 4, 6, 2])
    assert asked == [(0, [0, 1, 3]), (1, [0, 2]), (0, [2])]


def test_parts_that_do_not_fit_are_refused(make_dataset):
    first, second = parts_of(make_dataset, 4, 4)
    other = replace(second, tasks={"label": Task("label", ("cat", "dog", "bee"))})
    with pytest.raises(DataError, match="part1 and part0 differ in their tasks"):
        joined([first, other], name="all", card=Card())
    with pytest.raises(DataError, match="share their ids"):
        joined([first, first], name="all", card=Card())


def test_doubled_pictures_count_once(make_dataset, make_png):
    contents = [make_png(number % 4) for number in range(9)]
    contents[8] = None
    dataset = make_dataset(9, contents=contents, captions=None)
    keys = picture_keys(dataset)
    assert keys[8] == dataset.ids[8]  # cannot be read: nobody's double
    labels, splits = dataset.labels["label"], dataset.splits["label"]
    # row 0 and 7 are unlabelled: of the pictures 1 and 2 there are two, 1 in test alone
    assert doubles(keys, labels, splits) == (2, 4, 0)
    once = deduplicated(dataset)
    assert once.name == "noise/deduplicated"
    assert list(once.ids) == [dataset.ids[row] for row in (1, 2, 3, 4, 8)]
    assert doubles(picture_keys(once), once.labels["label"], once.splits["label"]).pictures == 0
    assert deduplicated(once) is once


def test_a_picture_on_both_sides_of_the_split_is_counted():
    keys = np.array(["a", "a", "b", "b", "c", "c", "d"], dtype=object)
    labels = np.array([0, 1, 0, 0, -1, 0, 1])
    splits = np.array(["train", "test", "test", "test", "test", "train", "test"], dtype=object)
    assert doubles(keys, labels, splits) == (2, 4, 1)
    splits[1] = ""
    assert doubles(keys, labels, splits).across == 0


def test_each_task_is_deduplicated_by_itself(make_dataset, make_png):
    contents = [make_png(0)] * 3 + [make_png(1)]
    dataset = make_dataset(4, contents=contents, captions=None)
    first = Column(Task("first", ("a", "b")), np.array([-1, 0, 1, 0]), dataset.splits["label"])
    second = Column(Task("second", ("a", "b")), np.array([1, 1, -1, -1]), dataset.splits["label"])
    once = deduplicated(view(dataset, [first, second], name="both"))
    assert list(once.labels["first"]) == [-1, 0, 0]
    assert list(once.labels["second"]) == [1, -1, -1]
    assert [column.task.name for column in columns_of(once)] == ["first", "second"]
