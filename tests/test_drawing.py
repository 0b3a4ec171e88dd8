"""From words to drawings, with everything tiny: what they depend on, and what is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image, ImageDraw
from tests.tiny_artist import CLASSES, make_prior, make_weights
from tests.tiny_tokenizer import make_tokenizer

import cliplab
from cliplab import drawing
from cliplab.drawing import draw, open_artist
from cliplab.drawing_requests import DrawConfig
from cliplab.priors.words import UnknownClass
from cliplab.runtime import shipped
from cliplab.runtime.errors import DataError, MissingWeights, UnknownName, UsageError
from cliplab.training.memory import TooLittleMemory

CPU = DrawConfig(device="cpu")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return make_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(autouse=True)
def installed(weights, monkeypatch):
    monkeypatch.setattr(shipped, "WEIGHTS", weights.root)


@pytest.fixture(scope="module")
def artist(weights):
    config = DrawConfig(
        prior=str(weights.prior),
        tokenizer=str(weights.tokenizer),
        encoder=str(weights.encoder),
        device="cpu",
    )
    return open_artist(config)


def same(first, second) -> bool:
    return np.array_equal(first.pixels, second.pixels) and np.array_equal(
        first.tokens, second.tokens
    )


def test_sixteen_drawings_of_a_cat():
    found = cliplab.draw("a cat", config=CPU)
    assert found.pixels.shape == (16, 1, 8, 8)
    assert found.pixels.dtype == np.uint8
    assert found.tokens.shape == (16, 4, 4)
    assert len({tokens.tobytes() for tokens in found.tokens}) > 8
    assert found.settings["prior"]["name"] == "quickdraw"
    assert found.settings["tokenizer"]["name"] == "quickdraw"
    assert found.settings["encoder"]["name"] == "quickdraw"


def test_the_pictures_are_those_of_the_tokens(artist):
    found = draw(["a cat", "a dog"], 70, CPU, artist)
    assert np.array_equal(found.pixels, artist.tokenizer.decode(found.tokens))


def test_a_seed_gives_the_same_drawings_and_another_others(artist):
    first = draw("a cat", 4, CPU, artist)
    assert same(first, draw("a cat", 4, CPU, artist))
    assert not same(first, draw("a cat", 4, dataclasses.replace(CPU, seed=1), artist))


def test_a_text_s_drawings_depend_on_neither_company_number_nor_memory(artist, monkeypatch):
    alone = draw("a cat", 5, CPU, artist)
    beside = draw(["a dog", "a cat"], 7, CPU, artist)
    assert np.array_equal(beside.groups[1].tokens[:5], alone.tokens)
    assert not np.array_equal(beside.groups[0].tokens[:5], alone.tokens)
    monkeypatch.setattr("cliplab.priors.sampling.rows_that_fit", lambda *_a, **_m: 2)
    assert same(draw("a cat", 5, CPU, artist), alone)


def test_words_that_mean_the_same_draw_the_same(artist):
    first = draw("a cat", 3, CPU, artist)
    for text in ("A CAT.", " a  Cat!", "a cats"):
        assert same(draw(text, 3, CPU, artist), first)


def test_guidance_and_the_like_reach_the_sampler(artist):
    first = draw("a cat", 6, CPU, artist)
    greedy = draw("a cat", 6, dataclasses.replace(CPU, top_k=1, guidance=3.0), artist)
    assert not same(first, greedy)
    assert len({tokens.tobytes() for tokens in greedy.tokens}) == 1
    assert greedy.settings["sampling"]["top_k"] == 1


def test_a_text_that_names_one_class_goes_by_its_name(artist):
    found = draw(["A Cat", "mona lisa", "a cat and a dog"], 1, CPU, artist)
    assert [g.name for g in found.groups] == ["cat", "The Mona Lisa", "a cat and a dog"]
    assert [g.words for g in found.groups] == ["a cat", "the mona lisa", "a cat and a dog"]


def test_what_it_does_not_know_is_refused_by_name(artist):
    with pytest.raises(UnknownClass, match="'a giraffe' names nothing"):
        draw(["a cat", "a giraffe"], 1, CPU, artist)
    with pytest.raises(UsageError, match="has no words"):
        draw("  ", 1, CPU, artist)
    with pytest.raises(UnknownClass, match="'a giraffe'"):
        draw("a cat", 2, dataclasses.replace(CPU, to="a giraffe"), artist)


def test_the_masked_decoder_draws_too():
    found = draw("a cat", 3, dataclasses.replace(CPU, decoder="masked", steps=3))
    assert found.settings["prior"]["decoder"] == "masked"
    assert found.settings["sampling"]["steps"] == 3
    assert found.tokens.min() >= 0
    assert found.tokens.max() < 16


def test_a_memory_that_is_too_little():
    with pytest.raises(TooLittleMemory, match=r"1\.0 MiB are too little: .* Give --memory \d+MiB"):
        draw("a cat", 1, dataclasses.replace(CPU, memory="1MiB"))


# ------------------------------------------------------------------------------- who draws


def test_a_prior_knows_the_tokenizer_and_the_encoder_that_it_was_trained_with(weights, tmp_path):
    other = make_weights(tmp_path / "other", seed=1)
    named = make_prior(
        tmp_path / "named",
        other,
        tokenizer_name=str(other.tokenizer),
        encoder_name=str(other.encoder),
    )
    found = open_artist(dataclasses.replace(CPU, prior=str(named)))
    assert found.tokenizer.name == str(other.tokenizer)
    assert found.encoder.name == str(other.encoder)
    gone = make_prior(tmp_path / "gone", other, tokenizer_name=str(tmp_path / "moved"))
    with pytest.raises(UsageError, match=r"tokenizer .*moved, which is not there any more.*FOLDER"):
        open_artist(dataclasses.replace(CPU, prior=str(gone)))


def test_a_tokenizer_that_does_not_fit_the_prior(tmp_path):
    other = make_tokenizer(tmp_path / "other", codes=16, seed=5)
    with pytest.raises(UsageError, match="tokens of another tokenizer"):
        draw("a cat", 1, dataclasses.replace(CPU, tokenizer=str(other)))
    larger = make_tokenizer(tmp_path / "larger", codes=32)
    with pytest.raises(UsageError, match=r"draws grids of .* of 16 codes"):
        draw("a cat", 1, dataclasses.replace(CPU, tokenizer=str(larger)))


def test_an_encoder_that_is_not_the_prior_s(tmp_path):
    other = make_weights(tmp_path / "other", seed=1)
    with pytest.raises(UsageError, match="by the vectors of another encoder"):
        draw("a cat", 1, dataclasses.replace(CPU, encoder=str(other.encoder)))


def test_weights_that_are_cut_off_or_not_there(weights, tmp_path, monkeypatch):
    places = make_weights(tmp_path)
    monkeypatch.setattr(shipped, "WEIGHTS", tmp_path)
    for file in (
        places.prior / "prior.safetensors",
        places.tokenizer / "tokenizer.safetensors",
        places.encoder / "open_clip_model.safetensors",
    ):
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(DataError, match=file.name):
            draw("a cat", 1, CPU)
        file.write_bytes(whole)
    (places.prior / "prior.safetensors").unlink()
    with pytest.raises(DataError, match="holds no whole prior"):
        draw("a cat", 1, CPU)
    monkeypatch.setattr(shipped, "WEIGHTS", tmp_path / "none")
    with pytest.raises(MissingWeights, match="this installation lacks its prior"):
        draw("a cat", 1, CPU)


def test_a_prior_by_class_needs_no_encoder(weights, tmp_path):
    prior = make_prior(tmp_path / "p", weights, condition="class")
    config = dataclasses.replace(CPU, prior=str(prior))
    found = draw(["a cat", "a dog"], 4, config)
    assert found.settings["encoder"] is None
    assert not np.array_equal(found.groups[0].tokens, found.groups[1].tokens)
    with pytest.raises(UsageError, match="names 2 classes"):
        draw("a cat and a dog", 1, config)
    with pytest.raises(UsageError, match="is asked by class, and reads no words"):
        draw("a cat", 1, dataclasses.replace(config, encoder=str(weights.encoder)))


def test_a_prior_of_free_captions_draws_any_words(weights, tmp_path):
    prior = make_prior(tmp_path / "p", weights, class_names=())
    found = draw("A giraffe, eating!", 2, dataclasses.replace(CPU, prior=str(prior)))
    assert found.groups[0].name == "A giraffe, eating!"
    assert found.groups[0].words == "a giraffe, eating"


def test_unknown_names():
    with pytest.raises(UnknownName, match="Unknown prior 'quick'"):
        draw("a cat", 1, dataclasses.replace(CPU, prior="quick"))
    with pytest.raises(UnknownName, match="Unknown decoder 'mask'"):
        draw("a cat", 1, dataclasses.replace(CPU, decoder="mask"))


# ------------------------------------------------------------------------------- from a drawing


@pytest.fixture
def half(tmp_path):
    picture = Image.new("L", (40, 40), 255)
    ImageDraw.Draw(picture).line([(5, 5), (35, 35), (35, 5)], fill=0, width=3)
    picture.save(tmp_path / "half.png")
    return tmp_path / "half.png"


def test_a_drawing_is_completed(artist, half):
    from cliplab.tokenizers.completing import kept_tokens

    for keep in ("top", "right"):
        config = dataclasses.replace(CPU, complete=str(half), keep=keep)
        found = draw(["a cat", "a dog"], 3, config, artist)
        kept = kept_tokens(artist.tokenizer, half, keep)
        assert (found.tokens[:, kept >= 0] == kept[kept >= 0]).all()
        assert len({tokens.tobytes() for tokens in found.tokens}) > 1
        assert found.settings["keep"] == keep
        assert found.settings["complete"] == str(half)


def test_the_way_from_one_text_to_another(artist):
    config = dataclasses.replace(CPU, to="a dog", seed=3)
    found = draw("a cat", 6, config, artist)
    (group,) = found.groups
    assert (group.text, group.name) == ("a cat → a dog", "cat to dog")
    assert len(found) == 6
    plain = dataclasses.replace(CPU, seed=3)
    assert np.array_equal(found.tokens[0], draw("a cat", 1, plain, artist).tokens[0])
    assert np.array_equal(found.tokens[-1], draw("a dog", 1, plain, artist).tokens[0])


# ------------------------------------------------------------------------------- choosing


def test_reranking_keeps_the_best_and_tells_both_orders(weights, artist):
    config = dataclasses.replace(CPU, rerank=str(weights.encoder), among=12)
    plain = draw(["a cat", "a dog"], 12, CPU, artist)
    found = draw(["a cat", "a dog"], 4, config, artist)
    assert len(found) == 8
    for group, drawn in zip(found.groups, plain.groups, strict=True):
        told = group.reranked
        assert list(told.with_) == sorted(told.with_, reverse=True)
        assert np.mean(told.with_) >= np.mean(told.without)
        assert len(told.with_) == len(told.without) == len(set(told.drawn)) == 4
        assert np.array_equal(group.tokens, drawn.tokens[list(told.drawn)])
        assert np.array_equal(group.pixels, drawn.pixels[list(told.drawn)])
    assert found.scores.shape == (8,)
    assert found.settings["among"] == 12


def test_ordered_alone_it_is_the_same_drawings(artist):
    found = draw("a cat", 5, dataclasses.replace(CPU, rerank="quickdraw"), artist)
    plain = draw("a cat", 5, CPU, artist)
    order = list(found.groups[0].reranked.drawn)
    assert sorted(order) == list(range(5))
    assert np.array_equal(found.tokens, plain.tokens[order])
    assert sum(found.groups[0].reranked.with_) == pytest.approx(
        sum(found.groups[0].reranked.without)
    )


def test_a_published_encoder_sees_ink_on_white(artist, toy_encoder, monkeypatch):
    from cliplab.embeddings import agreement

    seen = []
    real = agreement.agreement
    monkeypatch.setattr("cliplab.encoders.open_clip.load_encoder", lambda *_a, **_m: toy_encoder)
    monkeypatch.setattr(
        agreement,
        "agreement",
        lambda eye, pixels, text: seen.append(pixels) or real(eye, pixels, text),
    )
    monkeypatch.setattr(drawing, "ink_on_white", lambda pixels: 255 - pixels)
    plain = draw("a cat", 3, CPU, artist)
    for name in ("ViT-B-32/openai", "quickdraw"):
        draw("a cat", 3, dataclasses.replace(CPU, rerank=name), artist)
    assert np.array_equal(seen[0], 255 - plain.pixels)
    assert np.array_equal(seen[1], plain.pixels)


def test_the_classes_are_all_drawable(artist):
    found = draw(CLASSES, 1, CPU, artist)
    assert [group.name for group in found.groups] == list(CLASSES)
