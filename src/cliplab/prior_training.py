"""From a data set to a prior: pictures as tokens, what each shows as a vector, training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cliplab.conditions import Shown, Subject
from cliplab.nouns import TRAIN, Dataset, digest_of
from cliplab.runtime.errors import UnknownName, UsageError
from cliplab.runtime.storage import home as home_of
from cliplab.tokenizers.pixel_stream import evenly
from cliplab.training.memory import give_back

if TYPE_CHECKING:
    from cliplab.nouns import Encoder
    from cliplab.priors.config import PriorConfig
    from cliplab.priors.steps import Lessons
    from cliplab.priors.transformer import PriorNetwork
    from cliplab.tokenizers.saved import Tokenizer
    from cliplab.tokenizers.token_store import Tokens

SHIPPED = "quickdraw"  # the encoder
HELD_OUT = 2_000  # drawings at most, whose bits are told
MOST_PROMPTS = 1_000  # that prior.json tells
COLUMNS = 8  # drawings of a prompt, in the grids in TensorBoard


def train_prior(
    dataset: Dataset,
    tokenizer: Tokenizer,
    config: PriorConfig | None = None,
    out: str | Path = "prior",
    *,
    encoder: Encoder | None = None,
    task: str | None = None,
) -> Path:
    """Train a prior on a data set's pictures: tokens under what the pictures show.

    What a picture shows is one of (`config.condition`):

    - text: an encoder's vector of a caption, drawn anew at each step among those of its class (the
      data set's prompts and the plain forms of `PLAIN`), or among its own where the data set has
      captions and no classes;
    - image: the encoder's vector of the picture itself, moved by the difference of the means to
      where vectors of texts lie (Liang et al. 2022, "Mind the Gap", section 5), so that it can be
      asked with words later; no labels are needed;
    - class: its class.

    Tokens and vectors are kept under `config.home` and made once. Killed and run again, it goes on
    to the same weights.

    Parameters
    ----------
    dataset
        Pictures of the split "train" are learnt; of the validation (else test) split, up to
        `HELD_OUT` tell how well.
    tokenizer
        As `load_tokenizer` gives it.
    config
        Default: `PriorConfig()`.
    out
        Folder of the prior; `read_prior(out)` reads it.
    encoder
        As `load_encoder` gives it; not needed for `condition="class"`.
    task
        The label column whose split and class names are taken. Default: the data set's first.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    TooLittleMemory
        Not even one drawing at a time fits; the message says what would.
    UsageError
        No encoder, settings that cannot be, or `out` holds a training with others.
    DataError
        No training pictures, no classes to learn, or fewer pictures than a batch.
    CliplabError
        The training diverged; the last good checkpoint is named.
    """
    from cliplab.priors.config import PriorConfig, resolve
    from cliplab.priors.training import refuse_too_little, sizes_of, train_on_lessons
    from cliplab.tokenizers.token_store import read_tokens, tokenize_dataset

    config = config or PriorConfig()
    subject = Subject(dataset, dataset.task(task), config, encoder, home_of(config.home))
    rows, held_out = subject.rows(TRAIN), evenly(subject.rows(subject.held_out_split()), HELD_OUT)
    subject.check(rows)
    sizes = sizes_of(resolve(config), tokenizer.codes, tokenizer.grid, subject.width)
    refuse_too_little(config, sizes)
    shown = subject.shown(np.concatenate([rows, held_out]))
    made = tokenize_dataset(
        dataset, tokenizer, home=subject.home, workers=config.workers, on_bad=config.on_bad
    )
    tokens = read_tokens(made.folder)
    give_back("cpu")  # of reading and encoding, before the training is planned
    return train_on_lessons(
        _lessons(dataset, tokens, shown, rows),
        _lessons(dataset, tokens, shown, held_out),
        config,
        out,
        codes=tokenizer.codes,
        identity=_identity(subject, tokenizer, shown),
        notes=_notes(subject, tokenizer, shown, made.n_skipped),
        draw=_grid(tokenizer, shown, config.seed),
    )


def encoder_of(name: str | None, *, device: str = "auto") -> Encoder:
    """Load the encoder of that name; None: the small one that ships, where it does.

    Raises
    ------
    UsageError
        None is named and none ships.
    """
    from cliplab.encoders.open_clip import load_encoder

    try:
        return load_encoder(SHIPPED if name is None else name, device=device)
    except UnknownName as error:
        if name is not None:
            raise
        raise UsageError(
            "No encoder ships with this cliplab: give --encoder, such as a folder made by `cliplab "
            "train clip`, or --condition class."
        ) from error


def _identity(subject: Subject, tokenizer: Tokenizer, shown: Shown) -> dict[str, Any]:
    """Name what the tokens and conditions are; devices and threads change the last digits."""
    encoder = None if subject.encoder is None else subject.encoder.identity
    return {
        "content": subject.dataset.content_digest(),
        "task": subject.task.name,
        "tokenizer": digest_of(dict(tokenizer.identity)),
        "encoder": None
        if encoder is None
        else {key: encoder[key] for key in ("weights", "architecture") if key in encoder},
        "prompts": digest_of(list(shown.prompts)),
    }


def _notes(subject: Subject, tokenizer: Tokenizer, shown: Shown, n_skipped: int) -> dict[str, Any]:
    """Give what prior.json tells of the data."""
    return {
        "data_set": subject.dataset.name,
        "licence": subject.dataset.card.licence,
        "class_names": list(subject.task.class_names),
        "tokenizer": dict(tokenizer.identity),
        "encoder": None if subject.encoder is None else dict(subject.encoder.identity),
        "prompts": list(shown.prompts[:MOST_PROMPTS]),
        "n_skipped": n_skipped,
        "tokenizer_name": _place(tokenizer.name),
        "encoder_name": None if subject.encoder is None else _place(subject.encoder.name),
    }


def _place(name: str) -> str:
    """Give a name as it means the same from another working directory."""
    folder = Path(name).expanduser()
    return str(folder.absolute()) if folder.is_dir() else name


def _lessons(dataset: Dataset, tokens: Tokens, shown: Shown, rows: np.ndarray) -> Lessons:
    """Pair the tokens of these rows with what they show; what cannot be read is left out."""
    from cliplab.priors.steps import Lessons

    place = {id_: number for number, id_ in enumerate(tokens.ids)}
    kept = [row for row in rows.tolist() if shown.counts[row] and dataset.ids[row] in place]
    at = [place[dataset.ids[row]] for row in kept]
    return Lessons(tokens.tokens[at], shown.conditions, shown.start[kept], shown.counts[kept])


def _grid(tokenizer: Tokenizer, shown: Shown, seed: int) -> Callable[[PriorNetwork], np.ndarray]:
    """Give what draws a few drawings for each of a few prompts, a prompt a row."""
    from cliplab.training.watching import picture_grid

    def draw(network: PriorNetwork) -> np.ndarray:
        import torch

        from cliplab.priors.sampling import Sampling, sample

        rows = []
        for number, condition in enumerate(shown.asked):
            conditions = torch.from_numpy(np.repeat(condition[None], COLUMNS, axis=0))
            tokens = sample(
                network,
                conditions.to(next(network.parameters()).device),
                Sampling(),
                seed=seed,
                first=number * COLUMNS,
            )
            rows.append(tokenizer.decode(tokens.cpu().numpy().reshape(-1, *tokenizer.grid)))
        return picture_grid(*rows)

    return draw
