"""Class names and prompts → one vector a class, each distinct text encoded once and kept.

Sizes: C classes, T distinct texts over all classes, D width of the joint space.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cliplab.embeddings.normalise import normalise
from cliplab.embeddings.tables import (
    DamagedFile,
    read_table,
    vector_column,
    vector_matrix,
    write_table,
)
from cliplab.nouns import Encoder, Prompts, digest_of
from cliplab.runtime.errors import UsageError
from cliplab.runtime.progress import progress, say
from cliplab.runtime.storage import locked

FORMAT_VERSION = 1
BLOCK = 2048  # texts a file: what a killed run may have to do again
BATCH = 256  # texts encoded at once; part of the identity, since it can change the last bits


def embed_class_names(
    encoder: Encoder, class_names: Sequence[str], prompts: Prompts, *, home: Path | None = None
) -> np.ndarray:
    """Zero-shot weights: one unit vector a class, the mean of its captions' unit vectors.

    For class c with captions t: w_c = norm(mean_t norm(encode(t))) (Radford et al. 2021, "Learning
    Transferable Visual Models From Natural Language Supervision", section 3.1.4: ensembling in
    the embedding space).

    Parameters
    ----------
    encoder
        Whose text tower encodes the captions.
    class_names
        C names in label order.
    prompts
        Captions of each class; a caption that stands twice counts twice.
    home
        Where encoded texts are kept for the next time; None keeps nothing.

    Returns
    -------
    np.ndarray
        (C, D) float32, unit L2 norm.

    Raises
    ------
    UsageError
        A class for which the prompts hold no text.
    """
    captions = [prompts.texts(name) for name in class_names]
    for name, texts in zip(class_names, captions, strict=True):
        if not texts:
            raise UsageError(
                f"The prompts ({prompts.name}) hold no text for the class {name!r}. Add one, or "
                "choose others with --prompt TEXT or --prompts NAME|FILE."
            )
    distinct = list(dict.fromkeys(text for texts in captions for text in texts))
    place = {text: i for i, text in enumerate(distinct)}
    unit = normalise(encode_texts(encoder, distinct, home=home))  # (T, D)
    means = [unit[[place[text] for text in texts]].mean(axis=0) for texts in captions]
    return normalise(np.stack(means))


def encode_texts(encoder: Encoder, texts: Sequence[str], *, home: Path | None = None) -> np.ndarray:
    """(T, D) float32 raw vectors of T texts; with `home`, read from or kept in its store.

    A file of `HOME/embeddings/texts-<settings>/` holds the vectors of up to `BLOCK` texts and is
    found by the digest of those texts in their order, so that what a run reads never depends on
    what was encoded before it.
    """
    blocks = [texts[i : i + BLOCK] for i in range(0, len(texts), BLOCK)]
    vectors = np.empty((len(texts), encoder.width), dtype=np.float32)
    with progress("texts", len(texts), unit="texts") as advance:
        for number, block in enumerate(blocks):
            found = _encode(encoder, block) if home is None else _kept(encoder, block, home)
            vectors[number * BLOCK : number * BLOCK + len(block)] = found
            advance(len(block))
    return vectors


def _kept(encoder: Encoder, texts: Sequence[str], home: Path) -> np.ndarray:
    settings = {
        "encoder": dict(encoder.identity),
        "batch": BATCH,
        "format_version": FORMAT_VERSION,
    }
    folder = home / "embeddings" / f"texts-{digest_of(settings)[:16]}"
    path = folder / f"{digest_of(list(texts))[:16]}.parquet"
    if (found := _read(path, texts)) is not None:
        return found
    with locked(folder, lambda: say(f"Waiting for another cliplab that encodes texts: {folder}")):
        if (found := _read(path, texts)) is None:
            found = _encode(encoder, texts)
            _write(path, texts, found)
    return found


def _encode(encoder: Encoder, texts: Sequence[str]) -> np.ndarray:
    batches = [encoder.encode_texts(texts[i : i + BATCH]) for i in range(0, len(texts), BATCH)]
    return np.concatenate(batches).astype(np.float32, copy=False)


def _write(path: Path, texts: Sequence[str], vectors: np.ndarray) -> None:
    columns = {"text": list(texts), "embedding": vector_column(vectors)}
    write_table(path, columns, FORMAT_VERSION)


def _read(path: Path, texts: Sequence[str]) -> np.ndarray | None:
    try:
        table = read_table(path, FORMAT_VERSION, ("text", "embedding"))
    except FileNotFoundError:
        return None
    except DamagedFile as error:
        say(str(error))
        return None
    if table.column("text").to_pylist() != list(texts):
        return None
    return vector_matrix(table.column("embedding"))
