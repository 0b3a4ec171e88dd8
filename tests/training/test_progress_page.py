"""The page of a training: its curves and latest picture, cut off and gone on with or not."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from cliplab.training import progress_page
from cliplab.training.checkpoints import Trained
from cliplab.training.progress_page import ProgressPage
from cliplab.training.watching import Watch


def page(tmp_path, steps=10, about="") -> ProgressPage:
    return ProgressPage(tmp_path / "mine", tmp_path / "mine" / "tensorboard", steps, about)


def text(tmp_path) -> str:
    return (tmp_path / "mine" / "progress.html").read_text(encoding="utf-8")


def test_every_number_is_a_curve_with_a_table(tmp_path):
    made = page(tmp_path)
    for step in (1, 2, 4):
        made.add(step, {"loss": 4.0 / step, "memory": 1e9})
    made.write()
    shown = text(tmp_path)
    assert "Step 4 of 10, 40 %. This page reloads itself." in shown
    assert 'points="0.0,0.0 186.7,120.0 560.0,180.0"' in shown
    assert "loss from 4 at step 1 to 1 at step 4" in shown
    assert "<td>2</td><td>2</td>" in shown
    assert "lowest 953.7 MiB" in shown


def test_it_is_small_asks_nobody_and_reloads_until_it_is_done(tmp_path):
    made = page(tmp_path, steps=2, about="<b>original</b> above")
    made.add(1, {"loss": 1.0})
    made.show(1, np.zeros((8, 8, 3), np.uint8))
    made.write()
    shown = text(tmp_path)
    assert 'http-equiv="refresh"' in shown
    assert "default-src 'none'" in shown
    assert "<script" not in shown
    assert "&lt;b&gt;original&lt;/b&gt; above" in shown
    assert "data:image/png;base64," in shown
    made.add(2, {"loss": 0.5})
    made.write(now=True)
    assert 'http-equiv="refresh"' not in text(tmp_path)
    assert "trained</small>" in text(tmp_path)
    assert len(text(tmp_path)) < 20_000


def test_it_is_not_written_all_the_time(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(progress_page, "write_bytes", lambda *given: written.append(given))
    made = page(tmp_path)
    made.write(now=True)
    for step in range(1, 6):
        made.add(step, {"loss": 1.0})
        made.write()
    assert len(written) == 1
    made.write(now=True)
    assert len(written) == 2


def test_a_training_that_goes_on_keeps_its_curves_to_the_checkpoint(tmp_path):
    first = page(tmp_path)
    for step in range(1, 6):
        first.add(step, {"loss": float(step)})
        if step == 2:
            first.show(step, np.zeros((4, 4, 1), np.uint8))
    first.write(now=True)
    again = page(tmp_path)
    again.take_up(4)
    assert again.series == {"loss": [(1, 1.0), (2, 2.0), (3, 3.0)]}
    assert again.picture == first.picture
    again.add(4, {"loss": 9.0})
    again.write(now=True)
    assert "to 9 at step 4" in text(tmp_path)


def test_what_was_kept_and_is_damaged_is_passed_over(tmp_path):
    made = page(tmp_path)
    made.kept.parent.mkdir(parents=True)
    made.kept.write_text("{")
    made.take_up(3)
    assert made.series == {}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_left_out(tmp_path, value):
    made = page(tmp_path)
    made.add(1, {"loss": value})
    made.write(now=True)
    assert "<polyline" not in text(tmp_path)


def test_a_watch_writes_it(tmp_path):
    trained = Trained(None, None)
    watch = Watch(tmp_path / "mine", 3, draw=lambda _t: np.zeros((6, 6, 3), np.uint8))
    for step in (1, 2, 3):
        watch(step, {"loss": 3.0 - step}, trained)
    watch.close()
    shown = text(tmp_path)
    assert re.search(r"Step 3 of 3, 100 %\.</p>", shown)
    assert "What it can do by now" in shown


def test_pictures_of_few_pixels_are_shown_larger(tmp_path):
    made = page(tmp_path)
    sizes = []
    for shape in ((60, 240, 1), (1200, 900, 3), (4000, 2000, 3)):
        made.show(1, np.zeros(shape, np.uint8))
        made.write(now=True)
        address = re.search(r'base64,([^"]+)" alt', text(tmp_path))[1]
        sizes.append(Image.open(io.BytesIO(base64.b64decode(address))).size)
    assert sizes == [(480, 120), (900, 1200), (700, 1400)]
