"""`evaluate-drawings`: from the call to what is printed and written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.digit_drawings import digit_pixels, write_digits

from cliplab import drawing_evaluation
from cliplab.cli import evaluate_drawings
from cliplab.kept_drawings import PROMPT


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(drawing_evaluation, "RECOGNIZER_STEPS", 5)
    monkeypatch.setattr(drawing_evaluation, "TAUGHT_STEPS", 2)


def check(ended, code, *words):
    assert ended.code == code, (ended.out, ended.err)
    assert "Traceback" not in ended.err
    for word in words:
        assert word in ended.err, ended.err


def test_drawings_are_measured_and_shown(cliplab, quick):
    write_digits(Path("drawn.npz"), lambda c: digit_pixels(c, "train", 6))
    call = ("evaluate-drawings", "drawn.npz", "digits", "-n", 5, "--device", "cpu", "--out", "run")
    ended = cliplab(*call)
    assert ended.code == 0, ended.err
    for word in (
        "recognised, top-1 %", "shuffled labels", "KID", "50 drawings", "seven",
        "drawn.npz beside 100 held-out pictures of digits, 1,438 to learn from",
        "the closest pair: ", "record: run/record.json",
        "page: run/report.html",
    ):  # fmt: skip
        assert word in ended.out, ended.out
    assert "Drawings beside real pictures" in Path("run/report.html").read_text()
    Path("run/report.html").unlink()
    again = cliplab(*call, "--json", "--no-report")
    assert not Path("run/report.html").exists()
    assert "holds this evaluation already" in again.err
    assert again.json()["kind"] == "drawings"
    assert again.json()["copies"]["identical"]["drawn"]["value"] == 1


def test_bad_calls(cliplab, quick):
    write_digits(Path("drawn.npz"), lambda c: digit_pixels(c, "train", 3))
    call = ("evaluate-drawings", "drawn.npz", "digits")
    check(cliplab(*call, "-n", 1), 2, "n 1: give 2 drawings a class or more")
    check(cliplab(*call, "--guidance", 2), 2, "drawn.npz holds drawings, and --guidance")
    check(cliplab(*call, "--prompt", "{}!", "--top-k", 3), 2, "--top-k, --prompt is for a prior")
    check(cliplab("evaluate-drawings", "nowhere", "digits"), 2, "Unknown data set 'nowhere'")
    np.savez("ten.npz", ten=np.zeros((3, 8, 8), np.uint8), one=np.zeros((3, 8, 8), np.uint8))
    check(cliplab("evaluate-drawings", "ten.npz", "digits"), 1, "does not have: 'ten'")


def test_the_defaults_are_the_librarys():
    assert evaluate_drawings.PROMPT == PROMPT
    assert drawing_evaluation.EvaluateDrawingsConfig().n == 100
