"""Drawing tokens from a prior: one after the other with a cache, or all of them in a few steps.

The autoregressive decoder draws token t from softmax(logits / temperature), cut to the `top_k`
most probable codes and to the fewest that hold `top_p` of the probability. The masked one draws
every unknown token at each step and keeps those it is surest of, by a cosine schedule (MaskGIT,
Chang et al. 2022, section 3.2).

Guidance (Ho and Salimans 2021) draws from logits(null) + guidance · (logits(condition) -
logits(null)); both come from one batch of doubled rows, with one cache. Guidance 1 is no guidance,
and takes one pass.

What is drawn for row b depends on the seed, on `first` + b and on the position alone, so that a
request may be cut into batches of any size. (Logits of other batch sizes differ in rounding; a draw
within it of a boundary, one in about a million, can fall on the other side.)

B rows, E condition, T = h · w tokens, K codes, S steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import torch

from cliplab.priors.chance import uniform
from cliplab.priors.decoding import Decoding
from cliplab.priors.transformer import PriorNetwork, PriorSizes
from cliplab.runtime.errors import UsageError
from cliplab.training.memory import TooLittleMemory, in_words

_GRAINS = 1 << 22  # numbers of a draw, which float32 holds exactly
_AUTOREGRESSIVE, _MASKED = 1, 2  # streams of numbers, apart from each other
MOST_ROWS = 1024  # at once: more are no faster anywhere
COMPILED_FROM = 4096  # the row from which on a GPU runs a compiled step


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How tokens are drawn."""

    temperature: float = 1.0  # below 1: likelier drawings, less varied; 0: the likeliest code each
    top_k: int | None = None  # draw among so many of the most probable codes; None: all
    top_p: float | None = None  # draw among the fewest codes that hold this share; None: all
    guidance: float = 1.5  # 1: none; higher: clearer, less varied; as measured (docs/drawings.md)
    steps: int = 8  # of a masked decoder; as many as tokens at most
    choice_temperature: float = 4.5  # of a masked decoder: chance in which tokens it keeps

    def __post_init__(self) -> None:
        faults = [
            f"{name} {value}: give {wanted}."
            for name, value, fine, wanted in (
                ("temperature", self.temperature, _amount(self.temperature), "0 or more"),
                ("top_k", self.top_k, self.top_k is None or self.top_k >= 1, "1 or more"),
                ("top_p", self.top_p, self.top_p is None or 0 < self.top_p <= 1, "over 0, up to 1"),
                ("guidance", self.guidance, _amount(self.guidance), "0 or more"),
                ("steps", self.steps, self.steps >= 1, "1 or more"),
                (
                    "choice_temperature",
                    self.choice_temperature,
                    _amount(self.choice_temperature),
                    "0 or more",
                ),
            )
            if not fine
        ]
        if faults:
            raise UsageError(" ".join(faults))

    @property
    def guided(self) -> bool:
        """Whether each row is asked twice, with its condition and without."""
        return self.guidance != 1


def _amount(value: float) -> bool:
    return 0 <= value < math.inf


def sample(
    network: PriorNetwork,
    condition: torch.Tensor,
    settings: Sampling,
    *,
    seed: int,
    first: int = 0,
    kept: torch.Tensor | None = None,
) -> torch.Tensor:
    """Draw tokens under conditions.

    Parameters
    ----------
    network
        On the device of the other tensors.
    condition
        (B, E) float32, one for each drawing.
    settings
        Temperature, guidance and the like.
    seed, first
        What row b draws follows from the seed and from the number `first` + b.
    kept
        (B, T) int64: tokens that stay, and -1 where one is to be drawn. An autoregressive decoder
        draws a token under those before it; a masked one under all that are kept.

    Returns
    -------
    torch.Tensor
        (B, T) int64 in 0..K-1.
    """
    decode = _masked if network.sizes.decoder == "masked" else _autoregressive
    if not len(condition):
        return torch.empty((0, network.sizes.tokens), dtype=torch.int64, device=condition.device)
    if kept is None:
        kept = torch.full((len(condition), network.sizes.tokens), -1, device=condition.device)
    rows = np.arange(first, first + len(condition))
    with _evaluating(network), torch.inference_mode():
        return decode(network, condition, settings, seed, rows, kept)


@contextmanager
def _evaluating(network: PriorNetwork) -> Iterator[None]:
    """Switch dropout off, and on again where it was on."""
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)


def _autoregressive(
    network: PriorNetwork,
    condition: torch.Tensor,
    settings: Sampling,
    seed: int,
    rows: np.ndarray,
    kept: torch.Tensor,
) -> torch.Tensor:
    chance = _numbers(seed, _AUTOREGRESSIVE, rows, kept.shape[1], condition.device)
    tokens = torch.empty_like(kept)
    decoding = Decoding(network, *_asked(condition, settings))
    logits, step = decoding.logits, _stepper(decoding, kept, int(rows[0]))
    for position in range(kept.shape[1]):
        drawn = draw(guided(logits, settings), chance[:, position], settings)
        given = kept[:, position]
        tokens[:, position] = token = torch.where(given < 0, drawn, given)
        if position + 1 < kept.shape[1]:
            logits = step(token.repeat(2) if settings.guided else token, position)
    return tokens


def _stepper(
    decoding: Decoding, kept: torch.Tensor, first: int
) -> Callable[[torch.Tensor, int], torch.Tensor]:
    """Give the step; far into a long request on a GPU a compiled one, which takes a minute."""
    if not kept.is_cuda or first < COMPILED_FROM or find_spec("triton") is None:
        return decoding.step
    step = torch.compile(decoding.step)
    places = torch.arange(kept.shape[1], device=kept.device)[:, None]
    return lambda token, position: step(token, places[position])


def _masked(
    network: PriorNetwork,
    condition: torch.Tensor,
    settings: Sampling,
    seed: int,
    rows: np.ndarray,
    kept: torch.Tensor,
) -> torch.Tensor:
    length = kept.shape[1]
    steps = min(settings.steps, length)
    chance = _numbers(seed, _MASKED, rows, 2 * steps * length, condition.device)
    chance = chance.view(len(rows), steps, 2, length)
    asked, dropped = _asked(condition, settings)
    unknown = kept < 0
    hidden = unknown.sum(dim=1)  # (B,) to begin with
    tokens = kept
    for step in range(steps):
        shown = torch.where(unknown, network.sizes.codes, tokens)
        shown = shown.repeat(2, 1) if settings.guided else shown
        logits = guided(network(shown, asked, dropped), settings)
        drawn = draw(logits, chance[:, step, 0], settings)
        tokens = torch.where(unknown, drawn, tokens)
        share = math.cos(0.5 * math.pi * (step + 1) / steps)
        left = (hidden * share).floor().long() if step + 1 < steps else torch.zeros_like(hidden)
        sure = logits.log_softmax(dim=-1).gather(-1, drawn[..., None])[..., 0]
        heat = settings.choice_temperature * (1 - (step + 1) / steps)
        sure = sure - heat * chance[:, step, 1].log().neg().log()
        ranks = sure.masked_fill(~unknown, math.inf).argsort(dim=1).argsort(dim=1)
        unknown = unknown & (ranks < left[:, None])
    return tokens


def _asked(condition: torch.Tensor, settings: Sampling) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Conditions, and whose are dropped: for guidance every row again, without."""
    if not settings.guided:
        return condition, None
    dropped = torch.arange(2 * len(condition), device=condition.device) >= len(condition)
    return condition.repeat(2, 1), dropped


def guided(logits: torch.Tensor, settings: Sampling) -> torch.Tensor:
    """Join logits (2B, ..., K), with condition and without, to (B, ..., K) float32."""
    if not settings.guided:
        return logits.float()
    with_it, without = logits.float().chunk(2)
    return torch.lerp(without, with_it, settings.guidance)


def draw(logits: torch.Tensor, chance: torch.Tensor, settings: Sampling) -> torch.Tensor:
    """Draw a code for each of (..., K) logits by a number (...) in (0, 1): (...) int64.

    The number goes through the inverse of the distribution function, so that one a token is
    enough, and is made for all positions beforehand.
    """
    if settings.temperature == 0:
        return logits.argmax(dim=-1)
    if settings.temperature != 1:
        logits = logits / settings.temperature
    probabilities = logits.softmax(dim=-1)
    if settings.top_k is not None or settings.top_p is not None:
        least = _least(probabilities, settings)
        probabilities = probabilities.where(probabilities >= least, 0.0)
    reached = probabilities.cumsum(dim=-1)
    wanted = chance[..., None] * reached[..., -1:]
    return torch.searchsorted(reached, wanted, right=True)[..., 0]


def _least(probabilities: torch.Tensor, settings: Sampling) -> torch.Tensor:
    """Give the least probability (..., 1) that is not cut off; ties with it stay as well."""
    falling = probabilities.sort(dim=-1, descending=True).values
    n_codes = falling.shape[-1]
    last = torch.full_like(falling[..., :1], n_codes - 1, dtype=torch.int64)
    if settings.top_k is not None:
        last = last.clamp(max=settings.top_k - 1)
    if settings.top_p is not None:
        before = falling.cumsum(dim=-1) - falling
        last = torch.minimum(last, (before < settings.top_p).sum(dim=-1, keepdim=True) - 1)
    return falling.gather(-1, last)


def _numbers(
    seed: int, stream: int, rows: np.ndarray, count: int, device: torch.device
) -> torch.Tensor:
    """Draw (B, count) float32 within (0, 1), each exact, and off both ends."""
    drawn = uniform(seed, stream, rows, count)
    within = (np.floor(drawn * _GRAINS) + 0.5) / _GRAINS
    return torch.from_numpy(within.astype(np.float32)).to(device)


def rows_that_fit(sizes: PriorSizes, budget: int, *, guided: bool = True) -> int:
    """Give how many drawings `sample` can make at once within `budget` bytes, weights aside.

    Raises
    ------
    TooLittleMemory
        Not even one fits; the message says what one takes.
    """
    least = bytes_a_row(sizes, guided=guided)
    if budget < least:
        raise TooLittleMemory(
            f"{in_words(budget)} do not hold one drawing, which takes "
            f"{in_words(least)}. Give more memory."
        )
    return min(MOST_ROWS, budget // least)


def bytes_a_row(sizes: PriorSizes, *, guided: bool = True) -> int:
    """Bytes that one drawing takes in `sample`: its cache, activations and draws, in float32."""
    passes = 2 if guided else 1
    stream = 8 * sizes.width + 4 * sizes.hidden  # of a position, in a layer
    if sizes.decoder == "masked":
        numbers = sizes.positions * stream + 4 * sizes.tokens * sizes.codes
        return 4 * (passes * numbers + 2 * sizes.tokens * sizes.codes)
    cached = 2 * sizes.layers * sizes.positions * sizes.width
    reading = sizes.prefix * stream + 2 * sizes.codes
    return 4 * (passes * (cached + reading) + 6 * sizes.codes + 4 * sizes.tokens)
