"""`train prior`: from the call to what is printed and written."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from tests.tiny_tokenizer import make_tokenizer

QUICK = (
    "--width", 16, "--layers", 1, "--heads", 2, "--steps", 3, "--batch-size", 16,
    "--device", "cpu", "--memory", "8GiB",
)  # fmt: skip


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return make_tokenizer(tmp_path_factory.mktemp("tokenizer") / "t")


def check(ended, code, *words):
    assert ended.code == code, (ended.out, ended.err)
    assert "Traceback" not in ended.err
    for word in words:
        assert word in ended.err, ended.err


def test_train_makes_a_prior_that_is_asked_with_words(cliplab, tiny, tiny_clip):
    call = ("train", "prior", "digits", "-t", tiny, "-e", tiny_clip, "--out", "mine", *QUICK)
    ended = cliplab(*call)
    assert ended.code == 0, ended.err
    for word in ("trained on 1,438 drawings of digits", "359 held-out drawings", "mine"):
        assert word in ended.out
    assert "peak, estimated" in ended.err
    again = cliplab(*call, "--json")
    assert "finished" in again.err
    told = again.json()
    assert (told["prior"], told["condition"], told["sizes"]["condition"]) == ("mine", "text", 16)


def test_by_class_it_takes_no_encoder(cliplab, tiny, tiny_clip):
    call = ("train", "prior", "digits", "-t", tiny, "--condition", "class", *QUICK)
    ended = cliplab(*call, "--decoder", "masked", "--json")
    assert ended.code == 0, ended.err
    assert ended.json()["sizes"]["decoder"] == "masked"
    check(cliplab(*call, "-e", tiny_clip), 2, "takes no --encoder")


def test_options_are_the_fields_of_the_config():
    from cliplab.cli.train import prior
    from cliplab.priors.config import PriorConfig

    options = set(prior.__annotations__) - {"dataset", "tokenizer", "encoder", "out", "json"}
    assert options - {"return"} == {field.name for field in fields(PriorConfig)}


def test_what_cannot_be(cliplab, tiny, photos):
    call = ("train", "prior", "digits", "--condition", "class")
    check(cliplab(*call, "-t", "nowhere", *QUICK), 2, "Unknown tokenizer 'nowhere'")
    check(cliplab(*call, "-t", photos, *QUICK), 1, "holds no whole tokenizer")
    check(cliplab(*call, "-t", tiny, "--steps", 5, "--minutes", 1), 2, "exclude each other")
    check(cliplab(*call, "-t", tiny, *QUICK, "--heads", 3), 2, "width 16: give a multiple of 4 x 3")
    check(cliplab(*call, "-t", tiny, *QUICK, "--batch-size", 9999), 1, "fewer than a batch of 9999")
    check(cliplab(*call, "-t", tiny, *QUICK, "--memory", "10MiB"), 1, "are too little")
    check(cliplab(*call, "-t", tiny, "--preset", "lage"), 2, "Did you mean 'large'")
    assert cliplab(*call).code == 2  # no tokenizer
