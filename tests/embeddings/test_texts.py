"""Class vectors: the arithmetic, and that no text is encoded twice."""

from __future__ import annotations

import numpy as np
import pytest

import cliplab.embeddings.texts as texts_module
from cliplab.embeddings.texts import embed_class_names, encode_texts
from cliplab.nouns import Prompts
from cliplab.runtime.errors import UsageError

PROMPTS = Prompts("given", ("a {}.", "the {}"))


@pytest.fixture
def asked(toy_encoder, monkeypatch):
    """Batches of texts that the encoder was asked for."""
    batches = []
    encode = toy_encoder.encode_texts
    monkeypatch.setattr(toy_encoder, "encode_texts", lambda t: batches.append(list(t)) or encode(t))
    return batches


def test_class_vector_is_the_normalised_mean_of_normalised_captions(toy_encoder):
    weights = embed_class_names(toy_encoder, ("cat", "dog"), PROMPTS)
    for row, name in zip(weights, ("cat", "dog"), strict=True):
        raw = toy_encoder.encode_texts([f"a {name}.", f"the {name}"]).astype(np.float64)
        mean = (raw / np.linalg.norm(raw, axis=1, keepdims=True)).mean(axis=0)
        np.testing.assert_allclose(row, mean / np.linalg.norm(mean), rtol=1e-5)
    assert weights.dtype == np.float32


def test_a_caption_twice_counts_twice_and_is_encoded_once(toy_encoder, asked):
    prompts = Prompts("f", per_class={"cat": ("purr", "purr", "meow"), "dog": ("purr",)})
    weights = embed_class_names(toy_encoder, ("cat", "dog"), prompts)
    assert asked == [["purr", "meow"]]
    purr, meow = (v / np.linalg.norm(v) for v in toy_encoder.encode_texts(["purr", "meow"]))
    mean = (2 * purr + meow) / 3
    np.testing.assert_allclose(weights[0], mean / np.linalg.norm(mean), rtol=1e-5)
    np.testing.assert_allclose(weights[1], purr, rtol=1e-5)


def test_texts_are_batched_across_classes(toy_encoder, asked, monkeypatch):
    monkeypatch.setattr(texts_module, "BATCH", 3)
    embed_class_names(toy_encoder, ("cat", "dog"), PROMPTS)
    assert [len(batch) for batch in asked] == [3, 1]


def test_kept_texts_are_not_encoded_again(toy_encoder, asked, home):
    first = embed_class_names(toy_encoder, ("cat", "dog"), PROMPTS, home=home)
    n_asked = len(asked)
    second = embed_class_names(toy_encoder, ("cat", "dog"), PROMPTS, home=home)
    assert len(asked) == n_asked
    np.testing.assert_array_equal(first, second)


def test_another_encoder_or_other_texts_are_not_served_from_the_store(toy_encoder, asked, home):
    first = encode_texts(toy_encoder, ["cat", "dog"], home=home)
    toy_encoder.identity = {"name": "toy", "seed": 1}
    encode_texts(toy_encoder, ["cat", "dog"], home=home)
    reversed_order = encode_texts(toy_encoder, ["dog", "cat"], home=home)
    assert len(asked) == 3
    np.testing.assert_array_equal(reversed_order, first[::-1])


def test_without_a_home_nothing_is_written(toy_encoder, home):
    encode_texts(toy_encoder, ["cat"])
    assert not home.exists()


def test_a_killed_run_keeps_the_blocks_that_it_finished(toy_encoder, asked, home, monkeypatch):
    monkeypatch.setattr(texts_module, "BLOCK", 2)
    words = ["a", "b", "c", "d", "e"]
    encode_texts(toy_encoder, words[:4], home=home)
    vectors = encode_texts(toy_encoder, words, home=home)
    assert asked == [["a", "b"], ["c", "d"], ["e"]]
    np.testing.assert_array_equal(vectors, toy_encoder.encode_texts(words))


def test_a_damaged_file_is_made_again(toy_encoder, asked, home, capsys):
    first = encode_texts(toy_encoder, ["cat", "dog"], home=home)
    (file,) = home.rglob("*.parquet")
    whole = file.read_bytes()
    file.write_bytes(whole[:100])
    np.testing.assert_array_equal(encode_texts(toy_encoder, ["cat", "dog"], home=home), first)
    assert "is damaged" in capsys.readouterr().err
    assert file.read_bytes() == whole


def test_a_class_without_a_text_is_named(toy_encoder):
    with pytest.raises(UsageError, match=r"prompts \(f\) hold no text for the class 'dog'"):
        embed_class_names(toy_encoder, ("cat", "dog"), Prompts("f", per_class={"cat": ("x",)}))
