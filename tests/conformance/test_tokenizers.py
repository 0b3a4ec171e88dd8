"""Every tokenizer obeys one contract, whatever it was made by."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.dalle_files import write_published
from tests.tiny_tokenizer import make_tokenizer
from tests.tokenizers.original import drawn, shapes

from cliplab.nouns import ImageTokenizer, digest_of
from cliplab.runtime.errors import UsageError
from cliplab.tokenizers.opening import load_tokenizer
from cliplab.tokenizers.quantizers.family import quantizer_names

KINDS = [f"{name}-{channels}" for name in quantizer_names() for channels in (1, 3)] + ["openai"]


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request, tmp_path_factory) -> ImageTokenizer:
    folder = tmp_path_factory.mktemp("tokenizer") / "t"
    if request.param == "openai":
        encoder = drawn(shapes(3, (4, 4, 8, 16, 32), 16, (3, 3, 3, 1), 7), 0)
        decoder = drawn(shapes(16, (4, 32, 16, 8, 4), 6, (1, 3, 3, 3), 1), 1)
        write_published(folder, encoder, decoder, zipped=True)
        return load_tokenizer(folder, size=32)
    name, channels = request.param.split("-")
    return load_tokenizer(make_tokenizer(folder, quantizer=name, channels=int(channels)))


@pytest.fixture
def pixels(tokenizer):
    return np.random.default_rng(0).integers(0, 256, (5, *tokenizer.shape), dtype=np.uint8)


def test_it_is_an_image_tokenizer(tokenizer):
    assert isinstance(tokenizer, ImageTokenizer)
    assert tokenizer.codes >= 2
    assert len(tokenizer.shape) == 3
    assert digest_of(json.loads(json.dumps(tokenizer.identity))) == digest_of(tokenizer.identity)


def test_pictures_become_tokens_and_pictures_again(tokenizer, pixels):
    tokens = tokenizer.encode(pixels)
    assert tokens.shape == (5, *tokenizer.grid)
    assert tokens.dtype == np.int64
    assert tokens.min() >= 0
    assert tokens.max() < tokenizer.codes
    drawn_again = tokenizer.decode(tokens)
    assert drawn_again.shape == pixels.shape
    assert drawn_again.dtype == np.uint8
    assert np.array_equal(drawn_again, tokenizer.decode(tokens))


def test_a_picture_s_tokens_do_not_depend_on_its_company(tokenizer, pixels):
    together = tokenizer.encode(pixels)
    alone = np.concatenate([tokenizer.encode(pixels[[n]]) for n in range(5)])
    assert np.array_equal(together, alone)


def test_every_code_can_be_drawn(tokenizer):
    (h, w), n = tokenizer.grid, tokenizer.codes
    tokens = np.arange(-(-n // (h * w)) * h * w).reshape(-1, h, w) % n
    assert tokenizer.decode(tokens).shape == (len(tokens), *tokenizer.shape)


def test_what_does_not_fit_is_refused(tokenizer, pixels):
    with pytest.raises(UsageError, match="takes pictures of"):
        tokenizer.encode(pixels[..., :-1])
    with pytest.raises(UsageError, match="float64"):
        tokenizer.encode(pixels / 255)
    tokens = tokenizer.encode(pixels)
    for wrong in (tokens[..., :-1], tokens - tokenizer.codes, tokens + tokenizer.codes):
        with pytest.raises(UsageError, match="takes grids of"):
            tokenizer.decode(wrong)
