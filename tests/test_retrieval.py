"""Queries and captions over made pictures, against rankings worked out in the test."""

from __future__ import annotations

import dataclasses
import io
from functools import partial

import numpy as np
import pytest
from PIL import Image

from cliplab.evaluation import evaluate
from cliplab.nouns import Dataset, Query, Task, digest_of
from cliplab.protocol import EvaluateConfig, Subject, open_subject
from cliplab.retrieval import query_regions
from cliplab.runtime.errors import DataError, UsageError

SIZE = 24


class Bytes:
    def __init__(self, contents):
        self.contents, self.read = contents, 0

    def open(self, rows):
        for row in rows:
            yield partial(self._read, row)

    def _read(self, row):
        self.read += 1
        return self.contents[row]


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def landmarks() -> Dataset:
    """Two landmarks of five pictures: the query's box cuts the landmark out of a noisy picture."""
    generator = np.random.default_rng(0)
    towers = generator.integers(0, 256, (2, SIZE, SIZE, 3), dtype=np.uint8)
    contents, ids = [], []
    for number, tower in enumerate(towers):
        for i in range(5):
            noise = generator.normal(0, 12, tower.shape)
            contents.append(png(np.clip(tower + noise, 0, 255).astype(np.uint8)))
            ids.append(f"tower_{number}_{i}.png")
    scene = generator.integers(0, 256, (2 * SIZE, 3 * SIZE, 3), dtype=np.uint8)
    scene[4 : 4 + SIZE, 7 : 7 + SIZE] = towers[0]
    contents.append(png(scene))
    ids.append("scene.png")
    contents.append(b"<html>")
    ids.append("gone.png")
    box = (7.2, 3.8, 7.0 + SIZE, 4.4 + SIZE)
    own = tuple(f"tower_0_{i}.png" for i in range(5))
    whole = (0.0, 0.0, float(SIZE), float(SIZE))
    queries = (
        Query("tower_a_1", "scene.png", box, own[:2], own[2:4], own[4:]),
        Query("tower_a_2", "tower_0_0.png", whole, own[:1], ("gone.png",), own[1:]),
        Query("b", "tower_1_0.png", whole, (ids[5], ids[5], ids[6]), (), ()),
    )
    n = len(ids)
    return Dataset(
        name="made",
        tasks={"label": Task("label", ("a", "b"))},
        ids=np.array(ids, dtype=object),
        labels={"label": np.zeros(n, dtype=np.int64) - 1},
        splits={"label": np.full(n, "", dtype=object)},
        digests=np.array([digest_of(i) for i in ids], dtype=object),
        source=Bytes(contents),
        queries=queries,
    )


def asked(data: Dataset) -> Subject:
    return Subject(data, Task("retrieval", ()), (), None)


def run(data, encoder, tmp_path, **more):
    return evaluate(asked(data), encoder, EvaluateConfig(out=tmp_path / "run", **more))


def test_queries_by_the_protocol(landmarks, toy_encoder, tmp_path):
    record = run(landmarks, toy_encoder, tmp_path)
    found = record["retrieval"]
    by_name = {entry["name"]: entry for entry in found["queries"]}
    # the box finds the four that are wanted first; the fifth is junk and passed over
    assert by_name["tower_a_1"]["average_precision"] == 1
    assert set(by_name["tower_a_1"]["first"][:4]) == {f"tower_0_{i}.png" for i in range(4)}
    assert "tower_0_4.png" not in by_name["tower_a_1"]["first"]
    # its own picture is found first; the second that is wanted cannot be read: never found
    second = by_name["tower_a_2"]
    assert second["average_precision"] == pytest.approx(1 / 2)
    assert (second["n_wanted"], second["n_missing"], second["n_junk"]) == (2, 1, 4)
    # a picture that the list names twice is wanted once
    assert by_name["b"]["n_wanted"] == 2
    mean = np.mean([entry["average_precision"] for entry in found["queries"]])
    assert found["metrics"]["mAP"]["value"] == pytest.approx(mean)
    groups = {group["name"]: group for group in found["groups"]}
    assert groups["tower_a"]["n"] == 2
    assert groups["tower_a"]["value"] == pytest.approx(3 / 4)
    assert record["dataset"]["n"] == 11
    assert [s["id"] for s in record["skipped"]] == ["gone.png"]
    assert record["results"] == []


def test_the_box_matters(landmarks, toy_encoder, tmp_path):
    boxed = run(landmarks, toy_encoder, tmp_path)["retrieval"]["queries"][0]
    first = landmarks.queries[0]._replace(box=(0.0, 0.0, 3.0 * SIZE, 2.0 * SIZE))
    whole = dataclasses.replace(landmarks, queries=(first, *landmarks.queries[1:]))
    unboxed = run(whole, toy_encoder, tmp_path)["retrieval"]["queries"][0]
    assert boxed["average_precision"] == 1
    assert unboxed["first"][0] == "scene.png"
    assert unboxed["average_precision"] < 1


def test_the_region_is_the_rounded_box_cut_off_at_the_edges(landmarks):
    regions = query_regions(landmarks)
    picture = Image.open(io.BytesIO(next(regions.source.open([0]))()))
    scene = Image.open(io.BytesIO(landmarks.source.contents[10]))
    assert picture.size == (SIZE, SIZE)
    assert picture.tobytes() == scene.crop((7, 4, 7 + SIZE, 4 + SIZE)).tobytes()
    beyond = landmarks.queries[0]._replace(box=(-5.0, -5.0, 900.0, 900.0))
    wide = query_regions(dataclasses.replace(landmarks, queries=(beyond,)))
    assert Image.open(io.BytesIO(next(wide.source.open([0]))())).size == scene.size
    assert wide.digests[0] != regions.digests[0]


def test_a_second_run_reads_no_picture(landmarks, toy_encoder, tmp_path):
    landmarks.source.contents.pop()  # what could not be opened would be tried again
    kept = dataclasses.replace(
        landmarks,
        ids=landmarks.ids[:-1],
        labels={"label": landmarks.labels["label"][:-1]},
        splits={"label": landmarks.splits["label"][:-1]},
        digests=landmarks.digests[:-1],
    )
    first = run(kept, toy_encoder, tmp_path, report=False)
    read = landmarks.source.read
    again = run(kept, toy_encoder, tmp_path, report=False)
    assert landmarks.source.read == read
    assert again["timings"]["pictures_encoded"] == 0
    assert again["retrieval"] == first["retrieval"]


def test_features_before_the_projection(landmarks, toy_encoder, tmp_path):
    record = run(landmarks, toy_encoder, tmp_path, features="pre")
    assert record["retrieval"]["settings"]["features"] == "pre"
    assert "before the projection" in record["protocol"]
    assert run(landmarks, toy_encoder, tmp_path)["retrieval"]["settings"]["features"] == "post"


def test_queries_that_cannot_be_asked_are_all_named(landmarks):
    lost = Query("lost", "nosuch.png", (0, 0, 1, 1), ("scene.png",), (), ())
    empty = Query("empty", "scene.png", (0, 0, 1, 1), (), ("scene.png",), ("scene.png",))
    with pytest.raises(DataError) as error:
        query_regions(dataclasses.replace(landmarks, queries=(lost, empty)))
    for part in ("lost", "nosuch.png", "empty: no picture is wanted"):
        assert part in str(error.value)


def test_a_box_outside_of_its_picture_is_told(landmarks, toy_encoder, tmp_path):
    outside = landmarks.queries[0]._replace(box=(900.0, 0.0, 950.0, 10.0))
    data = dataclasses.replace(landmarks, queries=(outside, *landmarks.queries[1:]))
    with pytest.raises(DataError, match="query tower_a_1 lies outside of its picture of 72 x 48"):
        run(data, toy_encoder, tmp_path)


def test_a_query_whose_picture_cannot_be_read_is_not_scored(landmarks, toy_encoder, tmp_path):
    unreadable = landmarks.queries[0]._replace(id="gone.png")
    data = dataclasses.replace(landmarks, queries=(unreadable, *landmarks.queries[1:]))
    record = run(data, toy_encoder, tmp_path)
    assert [entry["name"] for entry in record["retrieval"]["queries"]] == ["tower_a_2", "b"]
    skipped = {s["id"]: s for s in record["skipped"]}
    assert "HTML" in skipped["tower_a_1"]["reason"]
    assert skipped["tower_a_1"]["split"] == "queries"


# ------------------------------------------------------------------------------- captions


@pytest.fixture
def captioned(landmarks) -> Dataset:
    captions = [(f"tower {i}", f"picture {i}") if i % 3 else (f"tower {i}",) for i in range(11)]
    splits = np.array(["test"] * 8 + ["train"] * 4, dtype=object)
    return dataclasses.replace(
        landmarks, captions=[*captions, ()], queries=(), splits={"label": splits}
    )


def test_captions_of_the_split_both_ways(captioned, toy_encoder, tmp_path):
    record = run(captioned, toy_encoder, tmp_path)
    found = record["retrieval"]
    settings = dict(found["settings"])
    digest = settings.pop("digest")
    assert settings == {"features": "post", "n_pictures": 8, "n_captions": 13}
    other = dataclasses.replace(captioned, captions=[("another",), *captioned.captions[1:]])
    assert run(other, toy_encoder, tmp_path)["retrieval"]["settings"]["digest"] != digest
    unit = partial(np.linalg.norm, axis=1, keepdims=True)
    pixels = [
        toy_encoder.preprocess(Image.open(io.BytesIO(captioned.source.contents[i])))
        for i in range(8)
    ]
    import torch

    pictures = toy_encoder.encode_pixels(torch.stack(pixels)).embedding.numpy()
    texts = [(i, text) for i in range(8) for text in captioned.captions[i]]
    words = toy_encoder.encode_texts([text for _, text in texts])
    cosines = (words / unit(words)) @ (pictures / unit(pictures)).T
    owner = np.array([i for i, _ in texts])
    for k in (1, 5):
        nearest = np.argsort(-cosines, axis=1)[:, :k]
        expected = (nearest == owner[:, None]).any(axis=1).mean()
        assert found["metrics"][f"image_retrieval_recall@{k}"]["value"] == pytest.approx(expected)
        first = owner[np.argsort(-cosines.T, axis=1)[:, :k]]
        expected = (first == np.arange(8)[:, None]).any(axis=1).mean()
        assert found["metrics"][f"text_retrieval_recall@{k}"]["value"] == pytest.approx(expected)
    assert found["metrics"]["image_retrieval_recall@10"]["value"] is None  # of eight pictures
    assert found["metrics"]["text_retrieval_recall@10"]["value"] is not None  # of 13 captions


def test_captions_of_all_splits(captioned, toy_encoder, tmp_path):
    record = run(captioned, toy_encoder, tmp_path, split="all")
    assert record["dataset"]["n"] == 11
    assert record["dataset"]["split"] == "all"


def test_what_cannot_be_found(captioned, toy_encoder, tmp_path):
    with pytest.raises(DataError, match="split 'validation'"):
        run(captioned, toy_encoder, tmp_path, split="validation")
    with pytest.raises(UsageError, match="after the projection"):
        run(captioned, toy_encoder, tmp_path, features="pre")
    with pytest.raises(DataError, match="neither queries"):
        run(dataclasses.replace(captioned, captions=None), toy_encoder, tmp_path)
    with pytest.raises(UsageError, match="retrieval learns nothing"):
        run(captioned, toy_encoder, tmp_path, train_on="digits")


def test_a_task_called_retrieval_is_a_task(tmp_path):
    from cliplab.protocol import is_retrieval

    folder = tmp_path / "photos"
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        for i in range(2):
            (folder / name / f"{i}.png").write_bytes(png(np.full((4, 4, 3), i, np.uint8)))
    lines = ["path,label,label:retrieval"]
    lines += [f"{name}/{i}.png,{name},{i}" for name in "ab" for i in range(2)]
    subject = open_subject(f"{folder}:retrieval", EvaluateConfig())
    assert is_retrieval(subject.dataset, subject.task)
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    subject = open_subject(f"{folder}:retrieval", EvaluateConfig())
    assert not is_retrieval(subject.dataset, subject.task)
    assert subject.class_names == ("0", "1")


# ------------------------------------------------------------------------------- the real lists


def test_the_real_ground_truth_as_a_walk_over_names_scores_it(shared_data):
    """All 55 queries of Oxford over a made ranking, by names and sets alone, and by ours."""
    from cliplab.retrieval import _answer

    names = (shared_data / "oxford" / "image_names.txt").read_text().split()
    ids = np.array(names, dtype=object)
    place = {name: i for i, name in enumerate(names)}
    generator = np.random.default_rng(0)
    truth = shared_data / "oxford" / "ground_truth"
    queries = sorted(path.name.removesuffix("_query.txt") for path in truth.glob("*_query.txt"))
    assert len(queries) == 55
    for name in queries:
        good, ok, junk = (
            tuple(f"{stem}.jpg" for stem in (truth / f"{name}_{kind}.txt").read_text().split())
            for kind in ("good", "ok", "junk")
        )
        cosines = generator.normal(size=len(names))
        cosines[[place[id_] for id_ in (*good, *junk)]] += 2
        found = _answer(Query(name, "", (0, 0, 1, 1), good, ok, junk), cosines, place, ids)
        wanted, passed = set(good) | set(ok), set(junk)
        area, hits, seen, recall, precision = 0.0, 0, 0, 0.0, 1.0
        for id_ in ids[np.argsort(-cosines)]:
            if id_ in passed:
                continue
            hits, seen = hits + (id_ in wanted), seen + 1
            area += (hits / len(wanted) - recall) * (precision + hits / seen) / 2
            recall, precision = hits / len(wanted), hits / seen
        assert found["average_precision"] == pytest.approx(area, abs=1e-12)
        assert found["n_wanted"] == len(wanted)
