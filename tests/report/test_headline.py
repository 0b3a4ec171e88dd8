from __future__ import annotations

import doctest

from cliplab.nouns import Skipped
from cliplab.report import headline as module
from cliplab.report.headline import headline, printable, skipped_note


def test_the_headline_says_what_is_measured(record):
    assert headline(record) == (
        "encoder ViT-B-32/openai (QuickGELU, fp32) · prompts simple (1) · "
        "zero-shot and linear probe · scored 4 of 20 (held out, fixed split)"
    )


def test_it_can_be_said_before_there_is_a_record(make):
    about = {
        "encoder": {"name": "clip", "identity": {}},
        "prompts": {"name": "mine", "templates": [], "per_class": {"cat": ["a cat"]}},
        "classifiers": ["zero_shot"],
        "dataset": make.dataset_block(split="all", n=5000, n_total=5000),
    }
    assert headline(about) == (
        "encoder clip · prompts mine (1 classes with their own) · zero-shot · "
        "scored 5,000 of 5,000 (all splits)"
    )


def test_skipped_pictures_are_counted_with_the_first_reasons(make, tmp_path, predictions):
    skipped = tuple(Skipped(f"{i}.jpg", f"reason {i} " + "x" * 200) for i in range(3))
    line = headline(make.run(tmp_path, predictions, skipped=skipped).record)
    assert "skipped 3 that cannot be read (0.jpg: reason 0 x" in line
    assert line.endswith("…; …)")
    assert "2.jpg" not in line
    assert skipped_note([]) == ""


def test_classes_that_a_probe_could_not_learn_are_named(make):
    about = {
        "encoder": {"name": "clip", "identity": {}},
        "prompts": None,
        "classifiers": ["zero_shot", "linear_probe"],
        "dataset": make.dataset_block(untrained=["t-shirt"]),
    }
    assert headline(about).endswith("1 class without training pictures (t-shirt)")
    several = {**about, "dataset": make.dataset_block(untrained=["a", "b", "c"])}
    assert headline(several).endswith("3 classes without training pictures (a, b, …)")
    for change in ({"classifiers": ["zero_shot"]}, {"trained_on": {"name": "other", "n": 4}}):
        assert "without training" not in headline(about | change)


def test_names_cannot_steer_the_terminal():
    assert printable("a\x1b[31m\nb ä☃") == "a\\x1b[31m\\nb ä☃"


def test_the_example_runs():
    assert doctest.testmod(module).failed == 0
