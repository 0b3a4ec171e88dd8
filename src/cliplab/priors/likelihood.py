"""How many bits a drawing's tokens take under a prior: what validation tells.

B drawings, T tokens of each.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch

from cliplab.nouns import Measure
from cliplab.priors.chance import uniform
from cliplab.priors.config import MASKED
from cliplab.priors.steps import Batch, losses
from cliplab.priors.transformer import PriorNetwork
from cliplab.tokenizers.steps import mixed

ORDERS = 8  # numbers of hidden tokens that a masked decoder's bound is averaged over


def bits_of(
    network: PriorNetwork,
    tokens: np.ndarray,
    conditions: np.ndarray,
    *,
    device: str,
    precision: str = "fp32",
    at_once: int = 64,
    seed: int = 0,
) -> np.ndarray:
    """Bits (B,) float64 that each drawing's tokens take under its condition.

    Of an autoregressive decoder it is -log2 p(tokens), exactly. Of a masked one it is an upper
    bound of it, the mean over orders in which tokens may become known: T / n times the bits of n
    hidden tokens, n even in 1..T (Uria et al. 2014; Hoogeboom et al. 2022, "Autoregressive
    Diffusion Models", eq. 5), over `ORDERS` evenly spread n, drawn by `seed` and the drawing's
    place.

    Parameters
    ----------
    network
        On its device; it is put into evaluation mode and back.
    tokens
        (B, h, w) integers in 0..K-1.
    conditions
        (B, E) float32.
    device, precision
        Where, and in what, the network computes.
    at_once
        Drawings in one pass.
    seed
        Of the masked decoder's orders.
    """
    training = network.training
    network.eval()
    try:
        with torch.inference_mode(), mixed(precision, device):
            parts = [
                losses(network, batch, 0.0, device).double().sum(dim=1).cpu().numpy() * weight
                for batch, weight in _batches(network, tokens, conditions, at_once, seed)
            ]
    finally:
        network.train(training)
    rounds = ORDERS if network.sizes.decoder == MASKED else 1
    found = np.concatenate(parts).reshape(rounds, len(tokens)).mean(axis=0)
    return np.asarray(found / math.log(2))


def _batches(
    network: PriorNetwork, tokens: np.ndarray, conditions: np.ndarray, at_once: int, seed: int
) -> Iterator[tuple[Batch, np.ndarray]]:
    """Give all drawings, of a masked decoder `ORDERS` times; and by what their losses count."""
    length = network.sizes.tokens
    masked = network.sizes.decoder == MASKED
    for number in range(ORDERS if masked else 1):
        for start in range(0, len(tokens), at_once):
            places = np.arange(start, min(start + at_once, len(tokens)))
            counted = np.ones((len(places), length), dtype=bool)
            if masked:
                drawn = uniform(seed, number, places, length)
                offset = uniform(seed, ORDERS, places, 1)[:, 0]
                hidden = 1 + np.floor((number + offset) / ORDERS * length).astype(np.int64)
                counted = drawn.argsort(axis=1).argsort(axis=1) < hidden[:, None]
            batch = Batch(
                places=places,
                tokens=tokens[places].reshape(len(places), -1).astype(np.int64),
                conditions=conditions[places],
                dropped=np.zeros(len(places), dtype=bool),
                counted=counted,
            )
            yield batch, length / counted.sum(axis=1)


def mean_of(bits: np.ndarray) -> Measure:
    """Mean of bits (B,) with its 95 % interval, of the normal distribution; none of one drawing."""
    mean = float(bits.mean())
    if len(bits) < 2:
        return Measure(mean)
    half = 1.96 * float(bits.std(ddof=1)) / math.sqrt(len(bits))
    return Measure(mean, mean - half, mean + half)
