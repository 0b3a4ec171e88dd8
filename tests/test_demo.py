"""The end of the demo: a grid of a few things that the shipped prior knows."""

from __future__ import annotations

import numpy as np
from PIL import Image
from tests.tiny_artist import CLASSES, make_weights

from cliplab import demo
from cliplab.runtime import shipped


def test_it_draws_a_row_for_each_of_a_few_classes(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "WEIGHTS", make_weights(tmp_path / "weights").root)
    monkeypatch.setattr(demo, "DRAWN", 2)
    monkeypatch.setattr(demo, "DRAWINGS", 3)
    asked = []
    real = demo.draw
    monkeypatch.setattr(demo, "draw", lambda *given: asked.append(given) or real(*given))
    out = demo.draw_some(tmp_path / "out")
    assert out == tmp_path / "out" / "drawings.png"
    with Image.open(out) as picture:
        assert np.asarray(picture).std() > 0
    ((names, n, *_rest),) = asked
    assert (names, n) == ((CLASSES[0], CLASSES[2]), 3)
