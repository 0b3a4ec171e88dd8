"""Settings of an evaluation as people write them in Python."""

from __future__ import annotations

from pathlib import Path

from cliplab.classification import ClassifyConfig
from cliplab.protocol import EvaluateConfig


def test_strings_are_taken_for_paths():
    config = EvaluateConfig(out="run", home="home", weights="w.pt", classes="names.txt")
    assert (config.out, config.home) == (Path("run"), Path("home"))
    assert (config.weights, config.classes) == (Path("w.pt"), Path("names.txt"))
    assert ClassifyConfig(label=("a", "b"), runs="mine").runs == Path("mine")
    assert config.as_json()["out"] == "run"
