"""Training a tokenizer on a data set's pictures, inside a stated memory, resumed exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from cliplab.nouns import TRAIN, Dataset, Skipped
from cliplab.runtime.devices import check_precision, choose_device
from cliplab.runtime.errors import DataError, UsageError
from cliplab.runtime.progress import say
from cliplab.runtime.storage import home as home_of
from cliplab.runtime.storage import locked, sweep_parts
from cliplab.tokenizers.config import Recipe, TokenizerConfig, resolve
from cliplab.tokenizers.model import DVAE
from cliplab.tokenizers.pixel_store import ArrayPixels, Pixels, looks_of, open_pixels
from cliplab.tokenizers.planning import fits_in, plan_table, plan_training
from cliplab.tokenizers.saved import is_tokenizer, read_about, save_tokenizer
from cliplab.tokenizers.steps import LR_END, TECHNIQUES, TokenizerGradient, batches_from
from cliplab.tokenizers.watching import each, reconstructions, shown_pictures
from cliplab.training.averages import averaged
from cliplab.training.checkpoints import Trained, checkpoint_notes, refuse_changes
from cliplab.training.loop import LoopConfig, train
from cliplab.training.memory import (
    Plan,
    free_memory,
    give_back,
    held_memory,
    parse_bytes,
    return_freed_memory_if_tight,
)
from cliplab.training.pace import steps_in, whole_step
from cliplab.training.plans import as_begun, plan_notes
from cliplab.training.watching import load_tensorboard, watching

AVERAGE, WARMUP = 0.999, 0.02
UNDER_WAY = "training"


class _Job(NamedTuple):
    """All that a training goes by."""

    recipe: Recipe
    pixels: Pixels
    shown: np.ndarray  # (n, C, H, W) uint8, pictures that TensorBoard shows
    skipped: tuple[Skipped, ...]
    plan: Plan
    device: str
    folder: Path  # of the tokenizer
    identity: Mapping[str, Any]


def train_tokenizer(
    dataset: Dataset,
    config: TokenizerConfig | None = None,
    out: str | Path = "tokenizer",
    *,
    task: str | None = None,
) -> Path:
    """Train a discrete VAE on a data set's training pictures.

    Killed and run again, it goes on from its checkpoint to the same weights (on a CPU with the
    same number of threads bit for bit). What it takes of memory is planned before anything is
    allocated, and stays within `config.memory`.

    Parameters
    ----------
    dataset
        Pictures of the split "train" are used, labelled or not.
    config
        Default: `TokenizerConfig()`.
    out
        Folder of the tokenizer; `load_tokenizer(out)` reads it.
    task
        The label column whose split is taken. Default: the data set's first.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    TooLittleMemory
        Not even one picture at a time fits; the message says what would.
    UsageError
        Settings that cannot be, or `out` holds a training with others.
    DataError
        No training pictures, or fewer than a batch.
    CliplabError
        The training diverged; the last good checkpoint is named.
    """
    config, folder = config or TokenizerConfig(), Path(out)
    splits = next(iter(dataset.splits.values())) if task is None else dataset.splits[task]
    rows = _training_rows(dataset, splits)
    recipe = resolve(config, *looks_of(dataset, rows))
    if config.batch_size is None and len(rows) < recipe.batch_size:
        say(f"{dataset.name} has {len(rows)} training pictures; each batch holds all of them.")
        recipe = replace(recipe, batch_size=len(rows))
    device = choose_device(config.device)
    check_precision(recipe.precision, device)
    with locked(folder / UNDER_WAY, lambda: say(f"Waiting for another training in {folder} …")):
        sweep_parts(folder)
        sweep_parts(folder / UNDER_WAY)
        identity = {**recipe.as_json(), "content": dataset.content_digest()}
        timed = ("steps",) if config.minutes else ()
        if _is_finished(folder, identity, timed):
            say(f"{folder} holds this training, finished; remove the folder to train anew.")
        else:
            shown = shown_pictures(dataset, rows, splits, recipe)
            _train(_job(dataset, rows, shown, recipe, config, device, folder, identity))
            give_back(device)
    return folder


def _training_rows(dataset: Dataset, splits: np.ndarray) -> np.ndarray:
    rows = np.flatnonzero(splits == TRAIN)
    if not len(rows):
        raise DataError(
            f"{dataset.name!r} has no training pictures; a tokenizer learns from those of the "
            "split train."
        )
    return rows


def _is_finished(folder: Path, identity: Mapping[str, Any], timed: tuple[str, ...]) -> bool:
    """Tell whether the folder holds this training's weights; refuse what else it may hold."""
    if not is_tokenizer(folder):
        return False
    there = read_about(folder).get("identity")
    if there is None:
        raise UsageError(f"{folder} holds a tokenizer of another kind; give another --out.")
    refuse_changes(folder, _without(there, timed), _without(identity, timed))
    return True


def _without(values: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def _job(
    dataset: Dataset,
    rows: np.ndarray,
    shown: np.ndarray,
    recipe: Recipe,
    config: TokenizerConfig,
    device: str,
    folder: Path,
    identity: dict[str, Any],
) -> _Job:
    """Plan, then read the pictures; what was begun before goes on by its own plan."""
    if len(rows) < recipe.batch_size:
        raise DataError(
            f"{dataset.name!r} has {len(rows)} training pictures, fewer than a batch of "
            f"{recipe.batch_size}; give --batch-size {len(rows)} or less."
        )
    if device == "cpu":
        _warm_up(recipe)
    load_tensorboard()
    budget = parse_bytes(config.memory) if config.memory else free_memory(device)
    notes = checkpoint_notes(folder / UNDER_WAY)
    plan, estimate = plan_training(recipe, budget, held_memory(device))
    if device == "cpu":
        return_freed_memory_if_tight(estimate.total, budget)
    if notes is not None:
        plan = as_begun(notes, plan, lambda begun: fits_in(recipe, begun, estimate, budget))
        recipe = replace(recipe, steps=notes["steps"]) if config.minutes else recipe
    else:
        say(plan_table(recipe, plan, estimate, budget))
    pixels, skipped = open_pixels(
        dataset,
        rows,
        size=(recipe.size, recipe.size),
        channels=recipe.channels,
        folder=home_of(config.home) / "pixels",
        on_bad=config.on_bad,
        workers=config.workers,
    )
    if (n := len(pixels.rows)) < recipe.batch_size:
        if config.batch_size is not None or not n:
            raise DataError(
                f"{n} training pictures can be read, fewer than a batch of {recipe.batch_size}; "
                f"give --batch-size {n} or less."
            )
        recipe = replace(recipe, batch_size=n)
    job = _Job(recipe, pixels, shown, skipped, plan, device, folder, identity)
    if config.minutes and notes is None:
        recipe = replace(recipe, steps=_steps_in(job, config.minutes))
    return job._replace(recipe=recipe, identity={**identity, "steps": recipe.steps})


def _warm_up(recipe: Recipe) -> None:
    """Train a toy a step, so that what libraries load once counts as the process before.

    Planning too imports what only it needs; a plan of the toy lets it.
    """
    toy = replace(recipe, size=16, width=8, codes=64, batch_size=2, channels=1, steps=1)
    plan_training(toy, 1 << 60, 0)
    model = _model(toy, "cpu")
    pixels = ArrayPixels(_Blank(), np.arange(2), (1, toy.size, toy.size))
    gradient = TokenizerGradient(model, pixels, toy, Plan(2, TECHNIQUES[-1]), "cpu")
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, fused=True)
    gradient(np.arange(2), 0)
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


class _Blank:
    """Blank pictures of the toy."""

    def open(self, rows: Sequence[int]) -> Iterator[Callable[[], bytes]]:
        raise OSError("blank pictures have pixels alone")

    def pixels(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        return np.zeros((len(rows), 16, 16), dtype=np.uint8)


def _model(recipe: Recipe, device: str) -> DVAE:
    with torch.random.fork_rng([]):
        torch.manual_seed(recipe.seed)
        between = recipe.make_quantizer()
        model = DVAE(recipe.networks(between), between)
        return model.to(device).to(memory_format=torch.channels_last)  # which is faster


def _steps_in(job: _Job, minutes: float) -> int:
    """Give the steps that so many minutes give; the memory for timing them is given back."""
    recipe = job.recipe
    model = _model(recipe, job.device)
    gradient = TokenizerGradient(model, job.pixels, recipe, job.plan, job.device)
    batches = batches_from(len(job.pixels.rows), recipe.batch_size, recipe.seed)(0)
    learn = model.quantizer.learn
    take = whole_step(model, gradient, batches, lambda step: learn(seed=recipe.seed, step=step))
    steps = steps_in(minutes, take)
    del model, gradient, learn, take
    give_back(job.device)
    return steps


def _train(job: _Job) -> None:
    recipe = job.recipe
    model = _model(recipe, job.device)
    gradient = TokenizerGradient(model, job.pixels, recipe, job.plan, job.device)
    n = len(job.pixels.rows)
    draw = reconstructions(job.shown, recipe, job.device) if len(job.shown) else None
    with watching(job.folder, recipe.steps, draw=draw) as watch:
        done = train(
            model,
            batches_from(n, recipe.batch_size, recipe.seed),
            gradient,
            _loop(recipe, n),
            folder=job.folder / UNDER_WAY,
            identity=job.identity,
            notes={**plan_notes(job.plan), "steps": recipe.steps},
            after_step=lambda step: model.quantizer.learn(seed=recipe.seed, step=step),
            watch=each(_Health(recipe), watch),
        )
    with averaged(model, done.average):
        notes = {
            "identity": dict(job.identity),
            "losses": [round(loss, 6) for loss in done.losses],
            "n_train": n,
            "skipped": [one._asdict() for one in job.skipped],
            "device": job.device,
            **plan_notes(job.plan),
        }
        save_tokenizer(job.folder, model, recipe, notes)
    _clear(job.folder / UNDER_WAY)


def _loop(recipe: Recipe, n_pictures: int) -> LoopConfig:
    return LoopConfig(
        steps=recipe.steps,
        steps_per_epoch=n_pictures // recipe.batch_size,
        batch_size=recipe.batch_size,
        lr=recipe.lr,
        warmup=WARMUP,
        lr_end=recipe.lr * LR_END,
        weight_decay=1e-4,
        betas=(0.9, 0.999),
        eps=1e-8,
        average=AVERAGE,
        seed=recipe.seed,
    )


def _clear(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


class _Health:
    """Says once what a curve of losses does not: that hardly any code is in use."""

    def __init__(self, recipe: Recipe) -> None:
        self.due, self.recipe, self.said = max(50, recipe.steps // 4), recipe, False

    def __call__(self, step: int, seen: Mapping[str, float], _trained: Trained) -> None:
        if self.said or step < self.due:
            return
        self.said = True
        if seen["codes_used"] < max(2, self.recipe.codes / 50):
            say(
                f"Only {seen['codes_used']:.0f} of {self.recipe.codes} codes are in use at step "
                f"{step:,}: the pictures may come out blank. Try {_remedies(self.recipe)}."
            )


def _remedies(recipe: Recipe) -> str:
    """Give what brings more codes into use and is not done already."""
    ways = (
        ("--quantizer vq", recipe.quantizer != "vq"),
        ("fewer --codes", True),
        ("--objective bce", recipe.objective != "bce"),
    )
    return " or ".join(way for way, would_help in ways if would_help)
