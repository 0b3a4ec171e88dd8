"""Training a prior on drawings as tokens, inside a stated memory, resumed exactly."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from cliplab.priors.config import PriorConfig, Recipe, resolve
from cliplab.priors.likelihood import bits_of, mean_of
from cliplab.priors.planning import fits_in, plan_table, plan_training
from cliplab.priors.saved import is_prior, read_about, save_prior
from cliplab.priors.steps import TECHNIQUES, Lessons, PriorGradient, draw_batch, recompute_layers
from cliplab.priors.transformer import PriorNetwork, PriorSizes
from cliplab.runtime.devices import check_precision, choose_device
from cliplab.runtime.errors import DataError, UsageError
from cliplab.runtime.progress import say
from cliplab.runtime.storage import locked, sweep_parts
from cliplab.tokenizers.steps import batches_from
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
from cliplab.training.watching import POINTS, Watch, load_tensorboard, watching

AVERAGE, WARMUP, LR_END = 0.999, 0.03, 0.02
UNDER_WAY = "training"
AS_IT_GOES = 20  # times that held-out drawings are looked at during a training
FEW = 512  # of them, then

Draw = Callable[[PriorNetwork], np.ndarray]
"""A picture (H, W, C) uint8 of what a network draws; the network has the averaged weights."""


class _Job(NamedTuple):
    """All that a training goes by."""

    recipe: Recipe
    sizes: PriorSizes
    lessons: Lessons
    validation: Lessons | None
    plan: Plan
    device: str
    folder: Path  # of the prior
    identity: Mapping[str, Any]
    notes: Mapping[str, Any]
    draw: Draw | None


def train_on_lessons(
    lessons: Lessons,
    validation: Lessons | None,
    config: PriorConfig | None = None,
    out: str | Path = "prior",
    *,
    codes: int,
    identity: Mapping[str, Any],
    notes: Mapping[str, Any],
    draw: Draw | None = None,
) -> Path:
    """Train a prior: which tokens a drawing has, given what it is a drawing of.

    Killed and run again, it goes on from its checkpoint to the same weights (on a CPU with the
    same number of threads bit for bit). What it takes of memory is planned before anything is
    allocated, and stays within `config.memory`. What is kept is a moving average of the weights;
    how many bits held-out drawings take under it is told, and stands in prior.json.

    Parameters
    ----------
    lessons
        The drawings to learn.
    validation
        Drawings held out; None: there are none.
    config
        Default: `PriorConfig()`.
    out
        Folder of the prior; `read_prior(out)` reads it. A second process that trains there waits
        for the first.
    codes
        K, the size of the vocabulary of the tokens.
    identity
        Plain values that name what the tokens and conditions are; a training of others in the same
        folder is refused.
    notes
        Plain values for prior.json: class_names, tokenizer, encoder, prompts, and what else is to
        be told.
    draw
        Makes a picture for TensorBoard every so often.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    TooLittleMemory
        Not even one drawing at a time fits; the message says what would.
    UsageError
        Settings that cannot be, or `out` holds a training with others.
    DataError
        Fewer drawings than a batch has, or tokens outside the vocabulary.
    CliplabError
        The training diverged; the last good checkpoint is named.
    """
    config, folder = config or PriorConfig(), Path(out)
    recipe = resolve(config)
    sizes = sizes_of(recipe, codes, lessons.tokens.shape[1:], lessons.conditions.shape[1])
    _refuse_tokens(lessons, codes)
    device = choose_device(config.device)
    check_precision(recipe.precision, device)
    whole = {**recipe.as_json(), "codes": codes, "grid": list(sizes.grid), **identity}
    timed = ("steps",) if config.minutes else ()
    with locked(folder / UNDER_WAY, lambda: say(f"Waiting for another training in {folder} …")):
        sweep_parts(folder)
        sweep_parts(folder / UNDER_WAY)
        if is_finished(folder, whole, timed):
            say(f"{folder} holds this training, finished; remove the folder to train anew.")
        else:
            job = _Job(
                recipe, sizes, lessons, validation, Plan(1), device, folder, whole, notes, draw
            )
            _train(_planned(job, config))
    return folder


def refuse_too_little(config: PriorConfig, sizes: PriorSizes) -> None:
    """Refuse a training that does not fit in its memory, before its tokens are made.

    Raises
    ------
    TooLittleMemory
        Not even one drawing at a time fits; the message says what would.
    """
    device = choose_device(config.device)
    budget = parse_bytes(config.memory) if config.memory else free_memory(device)
    plan_training(resolve(config), sizes, budget, held_memory(device))


def sizes_of(recipe: Recipe, codes: int, grid: tuple[int, ...], condition: int) -> PriorSizes:
    """Give the sizes of a recipe's network between a tokenizer and conditions of a width."""
    return PriorSizes(
        codes=codes,
        grid=(grid[0], grid[1]),
        condition=condition,
        width=recipe.width,
        layers=recipe.layers,
        heads=recipe.heads,
        dropout=recipe.dropout,
        decoder=recipe.decoder,
    )


def _refuse_tokens(lessons: Lessons, codes: int) -> None:
    if not len(lessons):
        raise DataError("There are no drawings to learn from.")
    if int(lessons.tokens.max()) >= codes:
        raise DataError(
            f"The tokens go up to {int(lessons.tokens.max())}, outside 0..{codes - 1}: they are "
            "another tokenizer's."
        )


def is_finished(folder: Path, identity: Mapping[str, Any], timed: tuple[str, ...] = ()) -> bool:
    """Tell whether the folder holds this training's weights; refuse what else it may hold."""
    if not is_prior(folder):
        return False
    there = read_about(folder).get("identity")
    if there is None:
        raise UsageError(f"{folder} holds a prior of another kind; give another --out.")
    refuse_changes(folder, _without(there, timed), _without(identity, timed))
    return True


def _without(values: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def _planned(job: _Job, config: PriorConfig) -> _Job:
    """Plan; what was begun before goes on by its own plan."""
    recipe, sizes, device = job.recipe, job.sizes, job.device
    n = len(job.lessons)
    if n < recipe.batch_size:
        raise DataError(
            f"There are {n} training drawings, fewer than a batch of {recipe.batch_size}; give "
            f"--batch-size {n} or less."
        )
    if device == "cpu":
        _warm_up(recipe)
    load_tensorboard()
    budget = parse_bytes(config.memory) if config.memory else free_memory(device)
    notes = checkpoint_notes(job.folder / UNDER_WAY)
    plan, estimate = plan_training(recipe, sizes, budget, held_memory(device))
    if device == "cpu":
        return_freed_memory_if_tight(estimate.total, budget)
    if notes is not None:
        plan = as_begun(notes, plan, lambda begun: fits_in(recipe, sizes, begun, estimate, budget))
        recipe = replace(recipe, steps=notes["steps"]) if config.minutes else recipe
    else:
        say(plan_table(recipe, sizes, plan, estimate, budget))
    job = job._replace(plan=plan, recipe=recipe)
    if config.minutes and notes is None:
        recipe = replace(recipe, steps=_steps_in(job, config.minutes))
    return job._replace(recipe=recipe, identity={**job.identity, "steps": recipe.steps})


def _warm_up(recipe: Recipe) -> None:
    """Train a toy a step, so that what libraries load once counts as the process before."""
    toy = replace(recipe, width=16, layers=1, heads=2, batch_size=2, steps=1, precision="fp32")
    sizes = sizes_of(toy, 8, (2, 2), 4)
    plan_training(toy, sizes, 1 << 60, 0)
    lessons = Lessons(
        np.zeros((2, 2, 2), dtype=np.int64),
        np.zeros((1, 4), dtype=np.float32),
        np.zeros(2, dtype=np.int64),
        np.ones(2, dtype=np.int64),
    )
    network = _network(toy, sizes, "cpu")
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.0, fused=True)
    PriorGradient(network, lessons, toy, Plan(2, TECHNIQUES[-1]), "cpu")(np.arange(2), 0)
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()


def _network(
    recipe: Recipe, sizes: PriorSizes, device: str, techniques: tuple[str, ...] = ()
) -> PriorNetwork:
    with torch.random.fork_rng([]):
        torch.manual_seed(recipe.seed)
        network = PriorNetwork(sizes).to(device)
    recompute_layers(network, techniques)
    return network.train()


def _steps_in(job: _Job, minutes: float) -> int:
    """Give the steps that so many minutes give; the memory for timing them is given back."""
    network = _network(job.recipe, job.sizes, job.device, job.plan.techniques)
    gradient = PriorGradient(network, job.lessons, job.recipe, job.plan, job.device)
    batches = batches_from(len(job.lessons), job.recipe.batch_size, job.recipe.seed)(0)
    take = whole_step(network, gradient, batches)
    steps = steps_in(minutes, take)
    del network, gradient, take
    give_back(job.device)
    return steps


def _train(job: _Job) -> None:
    recipe, n = job.recipe, len(job.lessons)
    network = _network(recipe, job.sizes, job.device, job.plan.techniques)
    gradient = PriorGradient(network, job.lessons, recipe, job.plan, job.device)
    with watching(job.folder, recipe.steps, draw=_drawing(job.draw)) as watch:
        done = train(
            network,
            batches_from(n, recipe.batch_size, recipe.seed),
            gradient,
            _loop(recipe, n),
            folder=job.folder / UNDER_WAY,
            identity=job.identity,
            notes={**plan_notes(job.plan), "steps": recipe.steps},
            watch=_looking(watch, job),
        )
    network.zero_grad()
    with averaged(network, done.average):
        bits = _bits(network, job)
        found = None if bits is None else {**mean_of(bits)._asdict(), "n": len(bits)}
        notes = {
            **job.notes,
            "condition": recipe.condition,
            "recipe": recipe.as_json(),
            "identity": dict(job.identity),
            "losses": [round(loss, 6) for loss in done.losses],
            "n_train": n,
            "bits_a_drawing": found,
            "device": job.device,
            **plan_notes(job.plan),
        }
        save_prior(job.folder, network, job.sizes, notes)
    if found is not None:
        say(f"Held-out drawings take {in_words(found)} bits each.")
    shutil.rmtree(job.folder / UNDER_WAY, ignore_errors=True)


def in_words(bits: Mapping[str, Any]) -> str:
    """Say a number of bits (value, low, high) with its interval."""
    told = f"{bits['value']:.1f}"
    return told if bits["low"] is None else f"{told} ({bits['low']:.1f} to {bits['high']:.1f})"


def _loop(recipe: Recipe, n_drawings: int) -> LoopConfig:
    return LoopConfig(
        steps=recipe.steps,
        steps_per_epoch=n_drawings // recipe.batch_size,
        batch_size=recipe.batch_size,
        lr=recipe.lr,
        warmup=WARMUP,
        lr_end=recipe.lr * LR_END,
        weight_decay=0.05,
        betas=(0.9, 0.95),
        eps=1e-8,
        average=AVERAGE,
        seed=recipe.seed,
    )


def _drawing(draw: Draw | None) -> Callable[[Trained], np.ndarray] | None:
    """Let the averaged weights draw."""
    if draw is None:
        return None

    def drawn(trained: Trained) -> np.ndarray:
        network: Any = trained.model
        network.eval()
        try:
            with averaged(network, trained.average), torch.no_grad():
                return draw(network)
        finally:
            network.train()

    return drawn


def _looking(watch: Watch, job: _Job) -> Callable[[int, Mapping[str, float], Trained], None]:
    """Watch, and every so often tell how many bits a few held-out drawings take."""
    every = max(1, job.recipe.steps // POINTS) * (POINTS // AS_IT_GOES)

    def look(step: int, seen: Mapping[str, float], trained: Trained) -> None:
        if step % every == 0:
            network: Any = trained.model
            with averaged(network, trained.average):
                if (bits := _bits(network, job, FEW)) is not None:
                    seen = {**seen, "validation_bits_a_drawing": float(bits.mean())}
        watch(step, seen, trained)

    return look


def _bits(network: PriorNetwork, job: _Job, most: int | None = None) -> np.ndarray | None:
    """Bits of the held-out drawings, each under a condition of its own that is drawn once."""
    lessons = job.validation
    if lessons is None or not len(lessons):
        return None
    places = np.arange(len(lessons))
    if most is not None and most < len(places):
        places = places[np.linspace(0, len(places) - 1, most).astype(np.int64)]
    batch = draw_batch(lessons, places, job.recipe, 0, drop=0.0)
    return bits_of(
        network,
        lessons.tokens[places],
        batch.conditions,
        device=job.device,
        precision=job.recipe.precision,
        at_once=job.plan.micro_batch,
        seed=job.recipe.seed,
    )
