"""MAIN PATH 2: from words to drawings, in the order in which things happen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cliplab.drawing_requests import Artist, Request, asked, request
from cliplab.drawing_requests import DrawConfig as DrawConfig
from cliplab.drawings import Drawings, Group, Reranked, ink_on_white
from cliplab.runtime.devices import one_thread
from cliplab.runtime.errors import UsageError
from cliplab.runtime.progress import Advance, progress
from cliplab.runtime.shipped import NAME as QUICKDRAW

if TYPE_CHECKING:
    from cliplab.nouns import Encoder
    from cliplab.priors.sampling import Sampling
    from cliplab.priors.saved import SavedPrior
    from cliplab.tokenizers.saved import Tokenizer

FEW = 64  # drawings of a text that one thread draws as fast as several


def draw(
    texts: str | Sequence[str],
    n: int = 16,
    config: DrawConfig | None = None,
    artist: Artist | None = None,
) -> Drawings:
    """Draw what texts say, n drawings of each.

    A text's drawings depend on it, the seed and the settings alone: not on the other texts, nor on
    how many are drawn. The prior that comes with cliplab knows the classes that it was trained on.

    Parameters
    ----------
    texts
        "a cat", or several; for a prior trained on classes each must name one of them.
    n
        Drawings of each text, 1 or more.
    config
        Default: `DrawConfig()`.
    artist
        In place of the prior, tokenizer and encoder that the configuration names, as `open_artist`
        gives them.

    Returns
    -------
    Drawings
        A notebook shows them; `save` writes a grid, or a folder that `cliplab evaluate` takes.

    Raises
    ------
    UnknownClass
        A text that names none of the prior's classes; the message gives the nearest, and all.
    UsageError
        A text without words, n below 1, settings that cannot be, or a tokenizer or an encoder that
        are not the prior's.
    DataError
        Weights that are damaged, or a picture to complete that is none.
    """
    config = config or DrawConfig()
    given = asked(texts, n, config)
    settings = config.sampling()
    with one_thread(max(n, config.among or 0) <= FEW):
        artist = artist or open_artist(config)
        requests = [request(text, n, config, artist) for text in given]
        kept = _kept(config, artist)
        with progress("drawing", sum(len(r.conditions) for r in requests), unit="drawings") as told:
            groups = [_drawn(r, kept, settings, config, artist, told) for r in requests]
    if config.rerank:
        groups = _reranked(groups, n, config)
    return Drawings(tuple(groups), config.seed, _settings(config, settings, artist))


# ------------------------------------------------------------------------------- who draws


def open_artist(config: DrawConfig) -> Artist:
    """Open the prior of a configuration, with the tokenizer and the encoder that belong to it.

    Raises
    ------
    UnknownName
        There is no prior, tokenizer or encoder of that name.
    UsageError
        The tokenizer or the encoder are not those that the prior was trained with.
    DataError
        Weights that are damaged.
    MissingWeights
        Weights that are not here.
    """
    from cliplab.priors.opening import load_prior
    from cliplab.priors.saved import refuse_misfit
    from cliplab.tokenizers.opening import load_tokenizer

    prior = load_prior(config.prior, decoder=config.decoder, device=config.device)
    name = config.tokenizer or _trained_with(prior, "tokenizer")
    tokenizer = load_tokenizer(name, device=config.device, home=config.home)
    refuse_misfit(prior, tokenizer)
    return Artist(prior, tokenizer, _encoder_of(prior, config))


def _trained_with(prior: SavedPrior, part: str) -> str:
    """Name the tokenizer or the encoder that a prior was trained with, as its folder tells."""
    name = str(prior.about.get(f"{part}_name", QUICKDRAW))
    if Path(name).is_absolute() and not Path(name).is_dir():
        raise UsageError(
            f"The prior {prior.name} was trained with the {part} {name}, which is not there any "
            f"more. Say where it is: --{part} FOLDER."
        )
    return name


def _encoder_of(prior: SavedPrior, config: DrawConfig) -> Encoder | None:
    """Open the encoder that reads the words for a prior; None: it is asked by class."""
    from cliplab.encoders.open_clip import load_encoder

    if prior.encoder is None:
        if config.encoder is not None:
            raise UsageError(
                f"The prior {prior.name} is asked by class, and reads no words: leave --encoder "
                "out, or draw with one that was trained by --condition text."
            )
        return None
    name = config.encoder or _trained_with(prior, "encoder")
    encoder = load_encoder(name, device=config.device)
    if prior.encoder.get("weights") != encoder.identity.get("weights"):
        raise UsageError(
            f"The prior {prior.name} was trained by the vectors of another encoder than {name}. "
            "Give the one that it was trained with: --encoder E."
        )
    return encoder


# ------------------------------------------------------------------------------- drawing it


def _kept(config: DrawConfig, artist: Artist) -> np.ndarray | None:
    """Tokens (h, w) of the half that stays, -1 for the others; None: nothing stays."""
    from cliplab.tokenizers.completing import kept_tokens

    if config.complete is None:
        return None
    return kept_tokens(artist.tokenizer, config.complete, config.keep)


def _drawn(
    request: Request,
    kept: np.ndarray | None,
    settings: Sampling,
    config: DrawConfig,
    artist: Artist,
    told: Advance,
) -> Group:
    """Draw a request's drawings, as many at once as the memory takes."""
    from cliplab.priors.sampling import rows_that_fit

    room = _room(config, artist)
    at_once = 1 if request.is_way else rows_that_fit(artist.prior.sizes, room)
    tokens = []
    for start in range(0, len(request.conditions), at_once):
        block = request.conditions[start : start + at_once]
        drawn = artist.prior.sample(
            block,
            settings,
            seed=config.seed,
            first=0 if request.is_way else start,
            kept=None if kept is None else np.broadcast_to(kept, (len(block), *kept.shape)),
        )
        tokens.append(drawn)
        told(len(block))
    found = np.concatenate(tokens)
    return Group(
        request.text, request.name, request.words, found, _pixels(found, artist.tokenizer, room)
    )


def _reranked(groups: Sequence[Group], n: int, config: DrawConfig) -> list[Group]:
    """Put the drawings of each text in the order of an encoder's cosines, and keep the best n.

    A published encoder sees ink on white paper, as its pictures were; one that was trained here
    sees the drawings as its own data set has them.
    """
    from cliplab.embeddings.agreement import agreement
    from cliplab.encoders.open_clip import load_encoder

    assert config.rerank is not None
    eye = load_encoder(config.rerank, device=config.device)
    own = config.rerank == QUICKDRAW or Path(config.rerank).expanduser().is_dir()
    found = []
    for group in groups:
        shown = group.pixels if own else ink_on_white(group.pixels)
        scores = agreement(eye, shown, group.words)
        best = np.argsort(-scores, kind="stable")[:n]
        ranked = Reranked(
            config.rerank,
            tuple(scores[:n].tolist()),
            tuple(scores[best].tolist()),
            tuple(best.tolist()),
        )
        found.append(
            replace(group, tokens=group.tokens[best], pixels=group.pixels[best], reranked=ranked)
        )
    return found


def _room(config: DrawConfig, artist: Artist) -> int:
    """Bytes that are left of the memory that was given, or that is free.

    Raises
    ------
    TooLittleMemory
        One drawing takes more; the message says how much would do.
    """
    from cliplab.priors.sampling import bytes_a_row
    from cliplab.tokenizers.evaluation import bytes_a_picture
    from cliplab.training.memory import (
        TooLittleMemory,
        free_memory,
        held_memory,
        in_words,
        parse_bytes,
    )

    device = artist.prior.device
    budget = parse_bytes(config.memory) if config.memory else free_memory(device)
    held = held_memory(device)
    least = max(bytes_a_row(artist.prior.sizes), bytes_a_picture(artist.tokenizer))
    if budget < held + least:
        enough = ((held + least) * 11 // 10 >> 20) + 1
        raise TooLittleMemory(
            f"{in_words(budget)} are too little: the process holds {in_words(held)}, and a drawing "
            f"takes {in_words(least)} more. Give --memory {enough}MiB."
        )
    return budget - held


def _pixels(tokens: np.ndarray, tokenizer: Tokenizer, room: int) -> np.ndarray:
    """Pictures (n, C, H, W) uint8 of tokens (n, h, w), as many at once as the memory takes."""
    from cliplab.tokenizers.evaluation import bytes_a_picture, pictures_at_once

    at_once = min(pictures_at_once(tokenizer), room // bytes_a_picture(tokenizer))
    return np.concatenate(
        [tokenizer.decode(tokens[i : i + at_once]) for i in range(0, len(tokens), at_once)]
    )


def _settings(config: DrawConfig, settings: Sampling, artist: Artist) -> dict[str, Any]:
    """All that made the drawings, in plain types."""
    prior, tokenizer, encoder = artist
    asked_for = {
        name: getattr(config, name) for name in ("complete", "keep", "to", "rerank", "among")
    }
    if config.complete is not None:
        asked_for["complete"] = str(config.complete)
    else:
        del asked_for["keep"]
    return {
        "prior": {
            "name": prior.name,
            "decoder": prior.sizes.decoder,
            "identity": dict(prior.identity),
        },
        "tokenizer": {"name": tokenizer.name, "weights": tokenizer.digest},
        "encoder": encoder and {"name": encoder.name, "weights": encoder.identity.get("weights")},
        "sampling": asdict(settings),
        **{name: value for name, value in asked_for.items() if value is not None},
        "device": prior.device,
    }
