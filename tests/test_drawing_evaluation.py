"""From drawings to a record: real ones are as good as real, and each fault is seen as it is."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image
from tests.digit_drawings import digit_pixels, write_digits

from cliplab import drawing_evaluation
from cliplab.datasets.digits import CLASS_NAMES
from cliplab.datasets.family import open_dataset
from cliplab.drawing_evaluation import EvaluateDrawingsConfig, evaluate_drawings
from cliplab.report.drawings_record import read_drawings_record
from cliplab.runtime.errors import UsageError

N = 12


def real(number: int) -> np.ndarray:
    return digit_pixels(number, "test", N, last=True)


def noised(number: int) -> np.ndarray:
    noise = np.random.default_rng(number).normal(0, 120, (N, 8, 8))
    return np.clip(real(number) + noise, 0, 255)


MADE = {
    "real": real,
    "noised": noised,
    "copied": lambda c: digit_pixels(c, "train", N),
    "once": lambda c: np.repeat(real(c)[:1], N, axis=0),
    "shuffled": lambda c: real((c + 1) % 10),
}


@pytest.fixture(scope="module")
def digits():
    return open_dataset("digits").dataset


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("evaluated")


@pytest.fixture(scope="module", autouse=True)
def quick():
    """Classifiers of a few steps; the one that judges is trained once."""
    patch = pytest.MonkeyPatch()
    patch.setattr(drawing_evaluation, "RECOGNIZER_STEPS", 150)
    patch.setattr(drawing_evaluation, "TAUGHT_STEPS", 40)
    patch.setattr(drawing_evaluation, "DRAWS", 100)
    yield
    patch.undo()


def config(place, out, **more):
    given = {"n": N, "device": "cpu", "home": place / "kept", "out": place / out}
    return EvaluateDrawingsConfig(**{**given, **more})


@pytest.fixture(scope="module")
def records(digits, place):
    return {
        name: evaluate_drawings(
            write_digits(place / f"{name}.npz", made), digits, config(place, name)
        )
        for name, made in MADE.items()
    }


def overall(records, name):
    return records[name]["overall"]


def test_the_record_is_whole(records, place, digits):
    record = records["real"]
    assert read_drawings_record(place / "real").data == record.data
    assert json.loads((place / "real" / "record.json").read_text()) == record.data
    assert record["drawings"]["n"] == 10 * N
    assert record["dataset"]["n_held_out"] == 20 * N
    assert record["dataset"]["n_train"] == 1438
    assert [one["name"] for one in record["per_class"]] == list(CLASS_NAMES)
    assert record["recognizer"]["identity"]["class_names"] == list(CLASS_NAMES)
    assert set(record["timings"]) == {"drawing", "reading", "recognizer", "judging", "scoring"}
    assert record["config"]["n"] == N
    assert len(record["copies"]["pairs"]) == drawing_evaluation.PAIRS
    with Image.open(place / "real" / "closest.png") as picture:
        assert picture.mode == "L"
    assert {"python", "torch", "cliplab"} <= set(record["versions"])
    assert record["copies"]["through_tokenizer"] is None  # what lies in a folder has none


def test_real_ones_are_as_good_as_real(records):
    found = overall(records, "real")
    assert found["top1"]["real"]["value"] > 0.6
    assert found["top1"]["ratio"]["value"] == pytest.approx(1, abs=0.15)
    assert records["real"]["shuffled"]["top1"]["value"] < 0.3
    assert found["kernel"]["drawn"]["low"] <= found["kernel"]["real"]["high"]
    assert found["diversity"]["ratio"]["value"] == pytest.approx(1, abs=0.15)
    assert found["near_pixels"]["ratio"]["high"] > 0.8
    assert records["real"]["copies"]["identical"]["drawn"]["value"] == 0


def test_noise_is_seen(records):
    noised, real = overall(records, "noised"), overall(records, "real")
    assert noised["frechet"]["drawn"]["value"] > 2 * real["frechet"]["drawn"]["value"]
    assert noised["kernel"]["drawn"]["low"] > 0
    assert noised["precision"]["drawn"]["value"] < real["precision"]["drawn"]["value"]


def test_copies_are_flagged(records):
    copies = records["copied"]["copies"]
    assert copies["identical"]["drawn"]["value"] == 1
    assert copies["nearer_pixels"]["value"] == 1
    assert copies["nearer_features"]["value"] == 1
    assert overall(records, "copied")["near_pixels"]["ratio"]["value"] == 0
    digits = open_dataset("digits").dataset
    for pair in copies["pairs"]:
        assert pair["pixels"] == 0
        assert pair["features"] < 1e-3
        assert digits.splits["digit"][list(digits.ids).index(pair["training"])] == "train"


def test_one_drawing_over_and_over_is_not_diverse(records):
    found = overall(records, "once")
    assert found["diversity"]["ratio"]["value"] == pytest.approx(0, abs=1e-3)
    assert found["recall"]["drawn"]["value"] < 0.3
    assert found["taught"]["ratio"]["value"] < overall(records, "real")["taught"]["ratio"]["value"]


def test_drawings_of_other_classes_are_not_recognised(records):
    found = overall(records, "shuffled")
    assert found["top1"]["drawn"]["value"] < 0.2
    assert found["taught"]["drawn"]["value"] < 0.2
    # as a set they are what real ones are; within a class they are not
    real = overall(records, "real")["kernel"]["drawn"]["value"]
    assert found["kernel"]["drawn"]["value"] == pytest.approx(real)
    of_classes = [one["kernel"]["drawn"]["low"] > 0 for one in records["shuffled"]["per_class"]]
    assert np.mean(of_classes) > 0.7


def test_the_recogniser_that_judges_is_trained_once(records, place):
    assert len(list((place / "kept" / "recognizers").glob("*/recognizer.json"))) == 1


def test_what_was_measured_is_not_measured_again(records, digits, place, monkeypatch, capsys):
    monkeypatch.setattr(drawing_evaluation, "_judge", lambda *_a: pytest.fail("judged again"))
    drawn = open_dataset(place / "real.npz").dataset
    assert evaluate_drawings(drawn, digits, config(place, "real")).data == records["real"].data
    assert "holds this evaluation already" in capsys.readouterr().err
    with pytest.raises(pytest.fail.Exception, match="judged again"):
        evaluate_drawings(drawn, digits, config(place, "real", seed=1))


class Hand:
    """Draws digits of the test split, unless it is killed."""

    name, losses = "hand", (3.0, 2.5)
    class_names = ("zero", "One", "two", "ten")

    def __init__(self, dies_at=None):
        self.identity, self.dies_at, self.asked = {"weights": "0"}, dies_at, []

    def draw(self, class_name, n):
        if class_name == self.dies_at:
            raise KeyboardInterrupt
        self.asked.append(class_name)
        number = CLASS_NAMES.index(class_name.lower())
        return digit_pixels(number, "test", n)[:, None]

    def through_tokenizer(self, pixels):
        return 255 - pixels


def test_what_draws_is_asked_for_the_classes_that_both_know(digits, place):
    with pytest.raises(KeyboardInterrupt):
        evaluate_drawings(Hand(dies_at="two"), digits, config(place, "hand", n=5))
    hand = Hand()
    record = evaluate_drawings(hand, digits, config(place, "hand", n=5))
    assert hand.asked == ["two"]
    assert [one["name"] for one in record["per_class"]] == ["zero", "one", "two"]
    assert record["left_out"] == list(CLASS_NAMES[3:])
    assert record["drawings"]["drawer"] == {"weights": "0"}
    assert record["drawings"]["losses"] == [3.0, 2.5]
    redrawn = record["copies"]["through_tokenizer"]
    assert redrawn["pixels"]["drawn"] == record["overall"]["near_pixels"]["drawn"]
    assert redrawn["pixels"]["ratio"]["value"] < 0.5  # light for dark is far from everything
    assert redrawn["features"]["ratio"]["value"] < 1
    assert record["drawings"]["location"] == str(place / "hand" / "drawings")
    assert record["copies"]["pairs"][0]["drawing"].endswith(".png")


def test_what_draws_nothing_of_the_data_set_is_refused(digits, place):
    hand = Hand()
    hand.class_names = ("zero", "ten")
    with pytest.raises(UsageError, match=r"hand draws 1 classes of the data set.*'zero', 'ten'"):
        evaluate_drawings(hand, digits, config(place, "none"))


def test_by_default_a_run_has_a_folder_of_its_own(digits, place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(drawing_evaluation, "_judge", lambda *_a: (_ for _ in ()).throw(OSError))
    settings = dataclasses.replace(config(place, "x"), out=None)
    with pytest.raises(OSError):  # noqa: PT011 (the folder is what is looked at)
        evaluate_drawings(open_dataset(place / "real.npz").dataset, digits, settings)
    (run,) = (tmp_path / "runs").iterdir()
    assert run.name.startswith("drawings-real.npz-digits-")


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"n": 1}, "n 1"), ({"seed": -1}, "seed -1"), ({"on_bad": "x"}, "--on-bad x")],
)
def test_settings_that_cannot_be(changes, words):
    with pytest.raises(UsageError, match=words):
        EvaluateDrawingsConfig(**changes)


def test_places_may_be_strings():
    assert EvaluateDrawingsConfig(out="a").out.name == "a"
