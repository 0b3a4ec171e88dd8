"""`train tokenizer`, `reconstruct`, `tokenize`: from the call to what is printed and written."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.dalle_files import write_published
from tests.datasets.miniatures import accept, make_domainnet
from tests.tiny_tokenizer import make_tokenizer
from tests.tokenizers.original import drawn, shapes

QUICK = (
    "--groups", 2, "--width", 8, "--codes", 16, "--steps", 3, "--batch-size", 16,
    "--device", "cpu", "--memory", "8GiB",
)  # fmt: skip


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return make_tokenizer(tmp_path_factory.mktemp("tokenizer") / "t")


@pytest.fixture
def quick(monkeypatch):
    """A recogniser of a few steps."""
    from cliplab.recognizers import training

    real = training.RecognizerConfig
    monkeypatch.setattr(training, "RecognizerConfig", lambda **s: real(**s, steps=2, width=8))


def grid() -> Image.Image:
    with Image.open("grid.png") as picture:
        picture.load()
        return picture


def check(ended, code, *words):
    assert ended.code == code, (ended.out, ended.err)
    assert "Traceback" not in ended.err
    for word in words:
        assert word in ended.err, ended.err


@pytest.mark.parametrize("name", ["tokenizer", "vae"])
def test_train_makes_a_tokenizer_and_measures_it(cliplab, quick, name):
    ended = cliplab("train", name, "digits", "--out", "mine", *QUICK)
    assert ended.code == 0, ended.err
    for word in ("reconstructions", "blank paper", "codes used", "recognised of 359", "mine"):
        assert word in ended.out
    record = json.loads(Path("mine/evaluation/record.json").read_text())
    assert record["dataset"]["n"] == 359
    assert record["recognition"]["n"] == 359
    again = cliplab("train", name, "digits", "--out", "mine", *QUICK, "--json")
    assert "finished" in again.err
    assert again.json() == {"tokenizer": "mine", "record": {**record, "run": "mine/evaluation"}}


def test_measuring_can_be_left_out(cliplab):
    ended = cliplab("train", "tokenizer", "digits", "--out", "mine", *QUICK, "--no-evaluate")
    assert ended.code == 0, ended.err
    assert "codes used" not in ended.out
    assert not Path("mine/evaluation").exists()


def test_a_folder_of_colour_pictures_trains_too(cliplab, photos, quick):
    ended = cliplab("train", "tokenizer", photos, *QUICK, "--json")
    assert ended.code == 0, ended.err
    record = ended.json()["record"]
    assert record["tokenizer"]["shape"] == [3, 20, 20]
    assert record["distances"]["reconstruction"]["stroke_iou"]["value"] is None


TOLD_PEAK = """
import sys
from cliplab.cli import main
from cliplab.training.memory import peak_resident_memory
try:
    main(sys.argv[1:])
finally:
    print(peak_resident_memory())
"""


@pytest.mark.slow
def test_dalle_in_too_little_memory_is_refused_with_what_fits(photos, tmp_path):
    """97.6 million parameters take 1.8 GiB with gradients and optimiser; none is allocated."""
    call = ("train", "tokenizer", photos, "--preset", "dalle", "--size", "256", "--memory", "2GiB")
    ended = subprocess.run(
        [sys.executable, "-c", TOLD_PEAK, *map(str, call), "--device", "cpu"],
        env={**os.environ, "CLIPLAB_HOME": str(tmp_path / "home")},
        capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert ended.returncode == 1, ended.stderr
    for word in ("2.00 GiB are too little", "Give --memory", "--width", "fits"):
        assert word in ended.stderr, ended.stderr
    assert int(ended.stdout) < 1400 << 20  # the process and its libraries alone
    assert not list((tmp_path / "tokenizer").glob("*.safetensors"))


def test_domainnets_drawings_need_nothing_but_the_memory(cliplab, quick, tmp_path, monkeypatch):
    from cliplab.tokenizers import config

    made = make_domainnet(tmp_path / "archives", ("quickdraw",))
    accept(monkeypatch, made)
    assert cliplab("prepare", "domainnet/quickdraw", "--archives", made.folder).code == 0
    short = dataclasses.replace(config.PRESETS["cpu"], steps=3)
    monkeypatch.setitem(config.PRESETS, "cpu", short)
    ended = cliplab("train", "tokenizer", "domainnet/quickdraw", "--memory", "8GiB")
    assert ended.code == 0, ended.err
    assert "peak, estimated" in ended.err
    record = json.loads(Path("tokenizer/evaluation/record.json").read_text())
    assert record["dataset"]["n"] == 345
    assert record["tokenizer"]["shape"] == [3, 8, 8]


def test_reconstruct_draws_a_grid_and_lists_what_cannot_be_read(cliplab, photos, tiny):
    shutil.copytree(photos / "red", "red")
    Path("red/bad.png").write_bytes(b"<html>")
    ended = cliplab("reconstruct", "red", photos / "blue" / "00.png", "-t", tiny)
    assert ended.code == 0, ended.err
    assert "red/00.png" in ended.out
    assert "skipped red/bad.png: an HTML page" in ended.out
    assert "stroke IoU" in ended.out
    assert grid().size[1] == 2 * 64 + 3 * 4 + 8
    told = cliplab("reconstruct", "red/00.png", "-t", tiny, "--out", "a/b.png", "--json").json()
    assert told["ids"] == ["red/00.png"]
    assert 0 < told["distances"]["l1"][0] < 1
    assert Path("a/b.png").exists()


def test_reconstruct_at_another_size(cliplab, photos, tiny):
    assert cliplab("reconstruct", photos / "red", "-t", tiny, "--size", 70, "--most", 2).code == 0
    assert grid().size[0] == 2 * 74 + 4


def test_openais_files_are_a_tokenizer(cliplab, photos):
    encoder = drawn(shapes(3, (4, 4, 8, 16, 32), 8, (3, 3, 3, 1), 7), 0)
    decoder = drawn(shapes(8, (4, 32, 16, 8, 4), 6, (1, 3, 3, 3), 1), 1)
    write_published(Path("openai"), encoder, decoder, zipped=False)
    ended = cliplab("reconstruct", photos / "red", "-t", "openai", "--size", 32)
    assert ended.code == 0, ended.err
    assert grid().mode == "RGB"


def test_tokenize_writes_tokens_once(cliplab, photos, tiny, home):
    first = cliplab("tokenize", photos, "--tokenizer", tiny, "--json").json()
    assert (first["n"], first["n_made"], first["skipped"]) == (36, 36, [])
    from cliplab.tokenizers.token_store import read_tokens

    found = read_tokens(first["folder"])
    assert found.tokens.shape == (36, 4, 4)
    assert np.array_equal(np.bincount(found.labels["label"]), [12, 12, 12])
    second = cliplab("tokenize", photos, "--tokenizer", tiny)
    assert "36 pictures have tokens, 0 of them made now" in second.out
    assert Path(first["folder"]).is_relative_to(home)


def test_what_is_no_tokenizer(cliplab, photos, tmp_path, tiny):
    check(cliplab("tokenize", photos, "-t", "opnai"), 2, "Did you mean 'openai'")
    check(cliplab("tokenize", photos, "-t", tmp_path), 1, "holds no whole tokenizer")
    check(cliplab("reconstruct", photos, "-t", photos), 1, "holds no whole tokenizer")
    assert cliplab("reconstruct", photos).code == 2


def test_weights_that_are_cut_short(cliplab, photos, tiny):
    shutil.copytree(tiny, "cut")
    path = Path("cut/tokenizer.safetensors")
    path.write_bytes(path.read_bytes()[:-20])
    check(cliplab("reconstruct", photos, "-t", "cut"), 1, "no whole file of tensors", "cut")


def test_a_size_that_the_stride_does_not_divide(cliplab, photos, tiny):
    check(cliplab("tokenize", photos, "-t", tiny, "--size", 9), 2, "take 8x8")
    check(cliplab("train", "tokenizer", "digits", "--size", 6, "--groups", 3), 2, "6x6", "take")


def test_names_that_are_not_known(cliplab):
    for option, wrong, right in (
        ("--preset", "dale", "dalle"),
        ("--quantizer", "gumble", "gumbel"),
        ("--objective", "bec", "bce"),
    ):
        check(cliplab("train", "tokenizer", "digits", option, wrong), 2, f"Did you mean '{right}'")


def test_options_that_cannot_be(cliplab, photos):
    both = cliplab("train", "tokenizer", "digits", "--steps", 5, "--minutes", 1)
    check(both, 2, "exclude each other")
    check(cliplab("train", "tokenizer", photos, "--batch-size", 99), 1, "fewer than a batch")


def test_pictures_that_cannot_be_read_or_written(cliplab, photos, tiny):
    Path("bad.png").write_bytes(b"<html>")
    check(cliplab("reconstruct", "bad.png", "-t", tiny), 1, "None of the 1 pictures")
    check(cliplab("reconstruct", "none.png", "-t", tiny), 2, "no picture or folder none.png")
    check(cliplab("reconstruct", photos, "-t", tiny, "--out", "grid.doc"), 2, "ends in .png")
