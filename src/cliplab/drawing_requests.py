"""What is asked of a drawing: settings, words, and the conditions that they become."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cliplab.embeddings.normalise import normalise
from cliplab.priors.words import Reading, read_prompt
from cliplab.protocol import take_paths
from cliplab.runtime.errors import UsageError
from cliplab.runtime.shipped import NAME as QUICKDRAW
from cliplab.training.memory import parse_bytes

if TYPE_CHECKING:
    from cliplab.nouns import Encoder
    from cliplab.priors.sampling import Sampling
    from cliplab.priors.saved import SavedPrior
    from cliplab.tokenizers.saved import Tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawConfig:
    """How drawings are made; each field is an option of `cliplab draw`."""

    prior: str = QUICKDRAW  # what draws: `quickdraw`, or a folder made by `cliplab train prior`
    tokenizer: str | None = None  # of the prior's tokens; None: the one it was trained with
    encoder: str | None = None  # that reads the words; None: the one it was trained with
    decoder: str | None = None  # of `quickdraw`: autoregressive, or masked, which is quicker
    guidance: float | None = None  # weight of the words, 1: as learned; None: as was measured best
    temperature: float | None = None  # below 1: likelier and more alike; None: 1
    top_k: int | None = None  # only the k likeliest tokens; None: all
    top_p: float | None = None  # only the likeliest that make up this share; None: all
    steps: int | None = None  # in which a masked decoder draws; None: 8
    seed: int = 0  # the same seed, the same drawing
    memory: str | None = None  # what drawing may take, such as 2GiB; None: what is free
    device: str = "auto"
    complete: Path | None = None  # a drawing of which one half stays
    keep: str = "top"  # which half: top, bottom, left, right
    to: str | None = None  # the drawings lie on the way from each text to this one
    rerank: str | None = None  # an encoder that puts the drawings in order, the most fitting first
    among: int | None = None  # drawn for each text, of which it keeps the best n; None: n
    home: Path | None = None  # folder of what is kept; None: CLIPLAB_HOME

    def __post_init__(self) -> None:
        take_paths(self, "complete", "home")
        if self.among is not None and self.rerank is None:
            raise UsageError("--among is how many --rerank E chooses from; name an encoder.")
        if self.to is not None and self.rerank is not None:
            raise UsageError("--to gives drawings in the order of the way; leave --rerank out.")
        if self.seed < 0:
            raise UsageError(f"--seed {self.seed}: give 0 or more.")
        if self.memory is not None:
            parse_bytes(self.memory)

    def sampling(self) -> Sampling:
        """Give the settings of the sampler: those given, else its own defaults."""
        from cliplab.priors.sampling import Sampling

        given = {f.name: getattr(self, f.name, None) for f in fields(Sampling)}
        return Sampling(**{name: value for name, value in given.items() if value is not None})


class Artist(NamedTuple):
    """All that draws: opened once, asked as often as one likes."""

    prior: SavedPrior
    tokenizer: Tokenizer
    encoder: Encoder | None  # that reads the words; None: the prior is asked by class


class Request(NamedTuple):
    """What is to be drawn for a text."""

    text: str  # as it was asked for
    name: str  # of its folder: the class, where it names one; else the text
    words: str  # what the encoder reads
    conditions: np.ndarray  # (n, E) float32, one a drawing
    is_way: bool = False  # from a text to another: noise is the same, and only the words change


def asked(texts: str | Sequence[str], n: int, config: DrawConfig) -> tuple[str, ...]:
    """Give the texts, each once, if the call can be answered at all.

    Raises
    ------
    UsageError
        No texts, n below 1, or fewer drawings to choose among than are to be given.
    """
    found = tuple(dict.fromkeys([texts] if isinstance(texts, str) else texts))
    if not found:
        raise UsageError("Say what is to be drawn: a text such as 'a cat'.")
    if n < 1:
        raise UsageError(f"-n {n}: give 1 or more drawings of each text.")
    if config.to is not None and n < 2:
        raise UsageError(f"-n {n}: on the way to {config.to!r} give 2 or more drawings.")
    if config.among is not None and config.among < n:
        raise UsageError(f"--among {config.among}: give at least -n {n}, of which the best stay.")
    return found


def request(text: str, n: int, config: DrawConfig, artist: Artist) -> Request:
    """Give what is to be drawn for a text: n drawings, as many to choose among, or a way.

    Raises
    ------
    UnknownClass
        It names none of the prior's classes.
    UsageError
        It has no words; or several classes, of a prior that is asked by class.
    """
    first = _read(text, artist)
    start = _condition(first, artist)
    if config.to is None:
        return Request(text, _name(first), first.words, start.repeat(config.among or n, axis=0))
    last = _read(config.to, artist)
    return Request(
        f"{text} → {config.to}",
        f"{_name(first)} to {_name(last)}",
        f"{first.words} → {last.words}",
        slerp(start[0], _condition(last, artist)[0], n),
        is_way=True,
    )


def _read(text: str, artist: Artist) -> Reading:
    prior = artist.prior
    reading = read_prompt(text, prior.class_names, prior=prior.name)
    if artist.encoder is None and len(reading.classes) != 1:
        raise UsageError(
            f"{text!r} names {len(reading.classes)} classes ({', '.join(reading.classes)}), and "
            f"the prior {prior.name} draws one at a time. Give each a text of its own."
        )
    _warn_of_unknown_words(reading, artist.encoder)
    return reading


def _warn_of_unknown_words(reading: Reading, encoder: Encoder | None) -> None:
    """Name the words that the encoder has never seen, where it can tell (`OpenClipEncoder` can)."""
    unknown = getattr(encoder, "unknown_words", lambda _text: ())(reading.words)
    if encoder is not None and unknown:
        warnings.warn(
            f"{reading.text!r}: the encoder {encoder.name} has never seen "
            f"{', '.join(map(repr, unknown))}; it says nothing to it.",
            UserWarning,
            stacklevel=2,
        )


def _name(reading: Reading) -> str:
    """Class of a text that names one alone, so that the folder's name is a label; else the text."""
    return folder_name(reading.classes[0] if len(reading.classes) == 1 else reading.text)


def folder_name(text: str, limit: int = 100) -> str:
    """Give a text as a folder's name that every system takes, of at most `limit` bytes.

    >>> folder_name("a cat/dog?")
    'a cat-dog-'
    """
    safe = re.sub(r'[\x00-\x1f<>:"/\\|?*]', "-", text).strip(" .")
    return safe.encode()[:limit].decode("utf-8", "ignore") or "drawings"


def _condition(reading: Reading, artist: Artist) -> np.ndarray:
    """(1, E) float32, of unit length."""
    if artist.encoder is None:
        return artist.prior.of_classes(reading.classes)
    return normalise(artist.encoder.encode_texts([reading.words]))


def slerp(start: np.ndarray, end: np.ndarray, n: int) -> np.ndarray:
    """Go from one unit vector to another along the sphere, in n - 1 equal turns (Shoemake 1985).

    Parameters
    ----------
    start, end
        (E,) float32, of unit length; opposite ones have no shortest way.
    n
        2 or more; the first vector is `start`, the last `end`.

    Returns
    -------
    np.ndarray
        (n, E) float32, unit L2 norm.
    """
    shares = np.linspace(0, 1, n)[:, None]
    angle = np.arccos(np.clip(start.astype(np.float64) @ end, -1, 1))
    if np.sin(angle) < 1e-6:
        return normalise((1 - shares) * start + shares * end)
    way = (np.sin((1 - shares) * angle) * start + np.sin(shares * angle) * end) / np.sin(angle)
    found: np.ndarray = way.astype(np.float32)
    return found
