"""How well pictures go with a text: the cosine of their vectors, CLIP's own measure."""

from __future__ import annotations

import numpy as np

from cliplab.embeddings.normalise import normalise
from cliplab.nouns import Encoder

BATCH = 64  # pictures encoded at once


def agreement(encoder: Encoder, pixels: np.ndarray, text: str) -> np.ndarray:
    """Give the cosine of each picture's vector with a text's.

    Parameters
    ----------
    encoder
        Whose joint space it is; its own preprocessing brings the pictures to size.
    pixels
        (N, C, H, W) uint8, C 1 (grey) or 3 (colour).
    text
        What they are to show.

    Returns
    -------
    np.ndarray
        (N,) float64 in -1..1.
    """
    import torch
    from PIL import Image

    colour = np.broadcast_to(pixels, (len(pixels), 3, *pixels.shape[2:])).transpose(0, 2, 3, 1)
    pictures = [Image.fromarray(np.ascontiguousarray(one)) for one in colour]
    words = normalise(encoder.encode_texts([text]))[0]
    found = []
    for start in range(0, len(pictures), BATCH):
        block = [encoder.preprocess(one) for one in pictures[start : start + BATCH]]
        vectors = encoder.encode_pixels(torch.stack(block)).embedding.numpy()
        found.append(np.float64(normalise(vectors)) @ words)
    return np.concatenate(found)
