"""How much of a vocabulary is in use, and how much it says: counts of tokens in, numbers out.

Letters: K codes, M pictures, T tokens of a picture. With p the share of each code among all tokens,
the entropy is H = -Σ p log2 p bits a token, the perplexity 2^H codes, and a picture takes T·H bits
where its tokens are coded one by one (without a model of what follows what).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int, Integer


def code_counts(tokens: Integer[np.ndarray, "M T"], codes: int) -> Int[np.ndarray, " K"]:
    """Count how often each code stands among the tokens."""
    return np.bincount(tokens.ravel(), minlength=codes)


def codes_used(counts: Int[np.ndarray, " K"]) -> int:
    """Count the codes that stand there at all."""
    return int((counts > 0).sum())


def perplexity(counts: Int[np.ndarray, " K"]) -> float:
    """Give 2^H: the number of codes that, evenly used, would say as much.

    >>> perplexity(np.array([5, 5, 0, 0]))
    2.0
    """
    p = counts[counts > 0] / counts.sum()
    return float(2.0 ** -(p * np.log2(p)).sum())


def bits_of_pictures(
    tokens: Integer[np.ndarray, "M T"], counts: Int[np.ndarray, " K"]
) -> Float[np.ndarray, " M"]:
    """Give the bits that each picture's tokens take, by the shares that `counts` tell.

    Their mean over the pictures that were counted is T·H.
    """
    with np.errstate(divide="ignore"):
        surprise = -np.log2(counts / counts.sum())
    found: np.ndarray = surprise[tokens].sum(axis=1)
    return found
