"""`cliplab draw`: from the call to what is printed and written, and every wrong call's message."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from tests.tiny_artist import make_prior, make_weights
from tests.tiny_tokenizer import make_tokenizer

from cliplab.runtime import shipped

CPU = ("--device", "cpu")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return make_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(autouse=True)
def installed(weights, monkeypatch):
    monkeypatch.setattr(shipped, "WEIGHTS", weights.root)


def check(ended, code, *words):
    assert ended.code == code, (ended.out, ended.err)
    assert "Traceback" not in ended.err
    assert ended.out == ""
    for word in words:
        assert word in ended.err, ended.err
    assert not list(Path().glob("*.png"))


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_a_grid_of_cats(cliplab):
    ended = cliplab("draw", "a cat", "-n", 3, *CPU)
    assert ended.code == 0, ended.err
    assert "prior quickdraw (autoregressive)" in ended.out
    assert "seed 0" in ended.out
    assert "3 drawings of a cat" in ended.out
    assert "drawings: drawings.png" in ended.out
    assert ended.err == ""
    first = pixels("drawings.png")
    assert first.ndim == 2
    cliplab("draw", "A CAT.", "--number", 3, "--out", "again.png", *CPU)
    assert np.array_equal(pixels("again.png"), first)
    cliplab("draw", "a cat", "-n", 3, "--seed", 1, "--out", "other.png", *CPU)
    assert not np.array_equal(pixels("other.png"), first)


def test_a_folder_is_a_data_set_to_evaluate(cliplab):
    ended = cliplab("draw", "a cat", "two dogs", "-n", 4, "--out", "drawn", *CPU)
    assert ended.code == 0, ended.err
    assert sorted(str(path) for path in Path("drawn").rglob("*.png")) == [
        f"drawn/{name}/{number}.png" for name in ("cat", "dog") for number in range(4)
    ]
    assert pixels("drawn/cat/0.png").shape == (8, 8)
    call = ("evaluate", "drawn", "-e", "quickdraw", "--split", "all", "--classifier", "zero_shot")
    record = cliplab(*call, *CPU, "--json").json()
    assert record["dataset"]["n"] == 8
    assert record["dataset"]["class_names"] == ["cat", "dog"]
    assert record["encoder"]["name"] == "quickdraw"
    assert record["skipped"] == []


def test_both_orders_of_reranked_drawings_are_recorded(cliplab):
    call = ("draw", "a cat", "-n", 2, "--rerank", "quickdraw", "--among", 6, "--out", "drawn", *CPU)
    ended = cliplab(*call)
    assert "ordered by quickdraw: mean cosine" in ended.out
    assert "as they were drawn" in ended.out
    printed = cliplab(*call, "--json").json()
    told = printed["texts"][0]["reranked"]
    assert told["mean_with"] >= told["mean_without"]
    assert len(told["with"]) == len(told["without"]) == 2
    kept = json.loads(Path("drawn/drawings.json").read_text())["folders"]["cat"]
    assert kept["texts"] == printed["texts"]
    assert printed["out"] == "drawn"


def test_from_text_to_text_and_from_half_a_drawing(cliplab):
    assert cliplab("draw", "a cat", "--to", "a dog", "-n", 5, "--out", "way", *CPU).code == 0
    assert len(list(Path("way/cat to dog").iterdir())) == 5
    picture = Image.new("L", (40, 40), 255)
    ImageDraw.Draw(picture).line([(5, 5), (35, 35)], fill=0, width=4)
    picture.save("half.png")
    ended = cliplab("draw", "a cat", "--complete", "half.png", "--keep", "left", "-n", 2, *CPU)
    assert ended.code == 0, ended.err


def test_masked_guided_and_scaled(cliplab):
    ended = cliplab(
        "draw", "a cat", "-n", 2, "--decoder", "masked", "--steps", 2, "--guidance", 3,
        "--temperature", 0.9, "--top-k", 8, "--top-p", 0.95, "--memory", "8GiB", "--scale", 3,
        "--out", "small.png", *CPU,
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert "(masked) · guidance 3 · temperature 0.9" in ended.out
    assert pixels("small.png").shape[0] == 8 * 3 + 2 * 4


def test_an_unknown_word(cliplab):
    ended = cliplab("draw", "a kat", *CPU)
    check(ended, 2, "'a kat' names nothing", "knows 5 classes", "Nearest by spelling: 'cat'")
    check(ended, 2, "alarm clock, cat, clock, dog, The Mona Lisa", "cliplab train prior")


@pytest.mark.parametrize("text", ["", "  ", "..."])
def test_an_empty_prompt(cliplab, text):
    check(cliplab("draw", text, *CPU), 2, "has no words", "'a cat'")


def test_no_drawings(cliplab):
    check(cliplab("draw", "a cat", "-n", 0, *CPU), 2, "-n 0: give 1 or more")


def test_a_tokenizer_or_an_encoder_of_another_prior(cliplab, tmp_path):
    other = make_weights(tmp_path / "other", seed=1)
    call = ("draw", "a cat", *CPU)
    check(cliplab(*call, "--tokenizer", other.tokenizer), 2, "another tokenizer")
    larger = make_tokenizer(tmp_path / "larger", codes=32)
    check(cliplab(*call, "--tokenizer", larger), 2, "16 codes", "32")
    check(cliplab(*call, "--encoder", other.encoder), 2, "another encoder", "--encoder E")
    check(cliplab(*call, "--prior", other.prior), 2, "another tokenizer")
    by_class = make_prior(tmp_path / "by-class", other, condition="class")
    call = ("draw", "a cat", "--tokenizer", other.tokenizer, *CPU)
    check(cliplab(*call, "--prior", by_class, "-e", other.encoder), 2, "leave --encoder")


def test_truncated_weights(cliplab, tmp_path):
    places = make_weights(tmp_path / "cut")
    for file in (
        places.prior / "prior.safetensors",
        places.tokenizer / "tokenizer.safetensors",
        places.encoder / "open_clip_model.safetensors",
    ):
        whole = file.read_bytes()
        file.write_bytes(whole[:-9])
        call = ("--prior", places.prior, "-t", places.tokenizer, "-e", places.encoder)
        check(cliplab("draw", "a cat", *call, *CPU), 1, str(file))
        file.write_bytes(whole)


def test_pictures_that_cannot_be_completed(cliplab):
    for name, content, words in (
        ("page.jpg", b"<html></html>", "page.jpg cannot be completed: an HTML page"),
        ("none.jpg", None, "There is no picture none.jpg"),
    ):
        if content is not None:
            Path(name).write_bytes(content)
        code = 1 if content else 2
        check(cliplab("draw", "a cat", "--complete", name, *CPU), code, words)
    Image.new("RGB", (30, 30), (9, 9, 9)).save("blank.jpg")
    check(cliplab("draw", "a cat", "--complete", "blank.jpg", *CPU), 1, "is blank")
    call = ("draw", "a cat", "--complete", "blank.jpg", "--keep", "up")
    check(cliplab(*call, *CPU), 2, "Unknown side 'up'")


def test_settings_that_cannot_be(cliplab):
    for words, *options in (
        ("--among is how many", "--among", 4),
        ("leave --rerank out", "--to", "a dog", "--rerank", "quickdraw"),
        ("--scale 0", "--scale", 0),
        ("--seed -1", "--seed", -1),
        ("ends in .png", "--out", "cats.pdf"),
        ("Unknown decoder 'x'", "--decoder", "x"),
        ("Unknown prior 'quickdrw'", "--prior", "quickdrw"),
        ("temperature", "--temperature", -1),
        ("guidance", "--guidance", -1),
    ):
        check(cliplab("draw", "a cat", *options, *CPU), 2, words)


def test_what_is_refused_is_refused_before_anything_is_drawn(cliplab, monkeypatch):
    from cliplab import drawing

    monkeypatch.setattr(drawing, "draw", lambda *_a: pytest.fail("drawn"))
    check(cliplab("draw", "a cat", "--out", "cats.pdf"), 2, "ends in .png")


def test_drawing_imports_nothing_heavy_beyond_open_clip():
    """A fresh process draws in little more than the time that open_clip takes to be imported."""
    import subprocess
    import sys

    code = (
        "import sys, torch, open_clip; before = set(sys.modules)\n"
        "import cliplab.drawing, cliplab.cli.draw, cliplab.cli.show_drawn, cliplab.drawings\n"
        "import cliplab.priors.opening, cliplab.tokenizers.opening, cliplab.tokenizers.evaluation\n"
        "import cliplab.encoders.open_clip, cliplab.priors.sampling, cliplab.training.memory\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(new & {'sklearn', 'scipy', 'pandas', 'datasets', 'pyarrow', 'tensorboard',"
        " 'transformers', 'vector_quantize_pytorch', 'einx', 'matplotlib', 'plotly'})"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300
    )
    assert found.stdout.strip() == "set()", found.stdout + found.stderr
