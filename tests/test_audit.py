"""Faults put into data sets on purpose, and found again."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.conftest import ToyEncoder

from cliplab.audit import AuditConfig, audit, write_review
from cliplab.datasets.family import open_dataset
from cliplab.runtime.errors import UsageError


class Pixels(ToyEncoder):
    """The 8x8 pixels themselves as vectors."""

    name = "pixels"
    width = feature_width = 192

    def encode_pixels(self, pixels):
        from cliplab.nouns import ImageVectors

        return ImageVectors(pixels.flatten(1).clone(), pixels.flatten(1).clone())


def flipped(seed: int):
    """The digits with the labels of 5 % moved to another class."""
    digits, task = open_dataset("digits")
    generator = np.random.default_rng(seed)
    labels = digits.labels[task].copy()
    n = round(0.05 * len(labels))
    rows = generator.permutation(len(labels))[:n]
    labels[rows] = (labels[rows] + generator.integers(1, 10, size=n)) % 10
    return dataclasses.replace(digits, labels={task: labels}), set(digits.ids[rows])


@pytest.mark.parametrize("seed", [0, 1])
def test_of_the_most_suspected_twentieth_four_fifths_are_flips(seed):
    data, flips = flipped(seed)
    found = audit(data, Pixels())
    suspected = found.first("label", len(flips))
    assert sum(one.path in flips for one in suspected) >= 0.8 * len(flips)
    assert [one.score for one in suspected] == sorted(one.score for one in suspected)
    assert found.counts["label"] == pytest.approx(len(flips), rel=0.25)  # as many as there are
    digits, task = open_dataset("digits")
    truth = {str(i): int(label) for i, label in zip(digits.ids, digits.labels[task], strict=True)}
    names = digits.task().class_names
    right = [one.suggested == names[truth[one.path]] for one in suspected if one.path in flips]
    assert np.mean(right) > 0.8


def test_the_digits_as_they_are_have_few_suspects():
    found = audit("digits", Pixels())
    assert found.counts["label"] < 0.04 * found.n
    assert found.probe_accuracy > 0.93
    assert found.notes == ()


# ------------------------------------------------------------------------------- a folder of faults


def picture(seed: int, size=(40, 30)) -> Image.Image:
    """A smooth picture of its own, in colours that repeat for no other."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def faulty(tmp_path) -> Path:
    folder = tmp_path / "photos"
    for number, (split, name) in enumerate(
        (split, name) for split in ("train", "test") for name in ("cat", "dog")
    ):
        (folder / split / name).mkdir(parents=True)
        for i in range(12):
            picture(100 * number + i).save(folder / split / name / f"{i:02}.png")
    train = folder / "train"
    (train / "dog" / "copy.png").write_bytes((train / "cat" / "03.png").read_bytes())
    smaller = Image.open(train / "cat" / "05.png").resize((30, 22))
    smaller.save(folder / "test" / "cat" / "smaller.jpg", quality=85)
    Image.new("RGB", (40, 30), (90, 91, 90)).save(train / "cat" / "flat.png")
    picture(7, (300, 20)).save(train / "dog" / "strip.png")
    picture(8, (800, 900)).save(train / "dog" / "huge.png")
    (train / "dog" / "page.png").write_text("<!DOCTYPE html><html></html>")
    for split in ("train", "test"):
        (folder / split / "hen").mkdir()
        picture(900 + len(split)).save(folder / split / "hen" / "0.png")
    return folder


def by_path(found, kind: str) -> dict:
    return {one.path: one for one in found.findings if one.kind == kind}


def test_faults_of_each_kind(faulty):
    found = audit(faulty, Pixels())
    doubles = by_path(found, "duplicate")
    copy = doubles["train/dog/copy.png"]
    assert copy.other_path == "train/cat/03.png"
    assert "the same file" in copy.reason
    assert "labelled dog and cat" in copy.reason
    assert copy.suggested == "cat"
    near = doubles.get("train/cat/05.png") or doubles["test/cat/smaller.jpg"]
    assert {near.path, near.other_path} == {"train/cat/05.png", "test/cat/smaller.jpg"}
    assert near.score > 0.95
    assert "one in test" in near.reason
    assert "one in train" in near.reason
    assert set(by_path(found, "unreadable")) == {"train/dog/page.png"}
    assert "HTML" in by_path(found, "unreadable")["train/dog/page.png"].reason
    odd = by_path(found, "odd")
    assert "nearly constant" in odd["train/cat/flat.png"].reason
    assert "a strip: 300 x 20" in odd["train/dog/strip.png"].reason
    assert "very large for this set: 800 x 900" in odd["train/dog/huge.png"].reason
    assert not set(odd) - {"train/cat/flat.png", "train/dog/strip.png", "train/dog/huge.png"}
    small = [one for one in found.findings if one.kind == "small class"]
    assert [(one.given, one.score) for one in small] == [("hen", 1.0)]
    assert "1 of 2 pictures held out" in small[0].reason
    assert found.n_across_splits >= 1
    assert found.counts["duplicate"] == len([f for f in found.findings if f.kind == "duplicate"])


def test_a_picture_unlike_all_others_is_odd(tmp_path):
    generator = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / "set" / name).mkdir(parents=True)
        base = generator.integers(40, 216, (8, 8, 3))
        for i in range(30):
            pixels = np.clip(base + generator.normal(0, 30, base.shape), 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "set" / name / f"{i:02}.png")
    picture(1, (8, 8)).save(tmp_path / "set" / "a" / "03.png")
    found = audit(tmp_path / "set", Pixels())
    assert [f.path for f in found.findings if "unlike all" in f.reason] == ["a/03.png"]


def test_the_review_is_a_line_a_finding_with_a_stable_header(faulty, tmp_path):
    found = audit(faulty, Pixels())
    write_review(tmp_path / "review.csv", found)
    with (tmp_path / "review.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(found.findings)
    assert list(rows[0]) == [
        "path", "kind", "given", "suggested", "score", "other_path", "reason",
    ]  # fmt: skip
    nothing = found._replace(findings=())
    write_review(tmp_path / "review.csv", nothing)
    assert (tmp_path / "review.csv").read_text() == (
        "path,kind,given,suggested,score,other_path,reason\n"
    )


def test_what_is_to_be_doubted_is_said(tmp_path):
    class Blind(Pixels):
        def encode_pixels(self, pixels):
            found = super().encode_pixels(pixels)
            noise = pixels.flatten(1)[:, :1] * 0
            found.embedding[:] = found.embedding[:1] + noise
            found.embedding[:, 0] += 1e-3 * pixels.mean(dim=(1, 2, 3))
            found.features[:] = noise
            return found

    for name in ("a", "b"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(20):
            picture(i + 50 * (name == "b")).save(tmp_path / "set" / name / f"{i}.png")
    found = audit(tmp_path / "set", Blind())
    assert any("suspicions are weak" in note for note in found.notes)
    assert any("raise --threshold" in note for note in found.notes)


def test_a_set_without_two_pictures_of_two_classes(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "set" / name).mkdir(parents=True)
        picture(ord(name)).save(tmp_path / "set" / name / "0.png")
    found = audit(tmp_path / "set", Pixels())
    assert found.probe_accuracy is None
    assert "were not judged" in found.notes[0]
    assert found.counts["small class"] == 2


def test_settings_that_cannot_be():
    for more in ({"threshold": 0.0}, {"threshold": 1.2}, {"features": "mid"}):
        with pytest.raises(UsageError):
            AuditConfig(**more)


def test_copies_that_are_known_by_no_digest_are_no_copies():
    digits, _ = open_dataset("digits")
    unknown = dataclasses.replace(digits, digests=np.full(len(digits), "", dtype=object))
    assert (
        audit(unknown, Pixels()).counts["duplicate"] == audit(digits, Pixels()).counts["duplicate"]
    )
