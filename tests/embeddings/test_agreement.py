"""Cosines of pictures and a text: those of the vectors, one by one."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from cliplab.embeddings.agreement import agreement


@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_the_cosine_of_the_vectors(toy_encoder, channels):
    pixels = np.random.default_rng(0).integers(0, 256, (70, channels, 8, 8), dtype=np.uint8)
    found = agreement(toy_encoder, pixels, "a cat")
    assert found.shape == (70,)
    word = toy_encoder.encode_texts(["a cat"])[0]
    for number in (0, 69):
        colour = np.broadcast_to(pixels[number], (3, 8, 8)).transpose(1, 2, 0)
        picture = toy_encoder.preprocess(Image.fromarray(np.ascontiguousarray(colour)))
        vector = toy_encoder.encode_pixels(picture[None]).embedding.numpy()[0]
        cosine = vector @ word / np.linalg.norm(vector) / np.linalg.norm(word)
        assert found[number] == pytest.approx(cosine, abs=1e-6)
