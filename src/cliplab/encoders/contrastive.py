"""Contrastive training, CLIP's own approach: pictures and captions that belong together.

Radford et al. 2021, section 2.3: each batch of B pairs is a classification of pictures among B
captions and of captions among B pictures, the logits being cosines times a learned scale.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cliplab.encoders.architecture import TINY, Architecture, Built, build, read_architecture
from cliplab.encoders.captions import Captioned, caption_pictures, check_classes
from cliplab.encoders.pairs import Pairs, batches_from, read_again, read_pictures
from cliplab.encoders.trained import (
    FORMAT_VERSION,
    NOTES,
    WEIGHTS,
    is_trained,
    save_trained,
)
from cliplab.nouns import TRAIN, Dataset, digest_of
from cliplab.runtime.devices import choose_device
from cliplab.runtime.errors import DataError, UsageError
from cliplab.runtime.progress import say
from cliplab.runtime.storage import locked, read_json, sweep_parts
from cliplab.training.checkpoints import checkpoint_notes, refuse_changes
from cliplab.training.memory import (
    Plan,
    free_memory,
    held_memory,
    parse_bytes,
    return_freed_memory_if_tight,
)
from cliplab.training.watching import Watch, load_tensorboard, picture_grid, watching

if TYPE_CHECKING:
    import torch

    from cliplab.training.loop import LoopConfig

CAPTIONS, TARGETS = ("auto", "column", "prompts"), ("pairs", "classes")
SHOWN = 16  # pictures in TensorBoard
LARGEST_SCALE = math.log(100.0)  # of the logits, as in the paper (section 2.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastiveConfig:
    """How a CLIP is trained; each field is an option of `cliplab train clip`."""

    model: str = TINY  # an architecture of open_clip's, or a file of its configuration
    epochs: int = 30  # passes over the training pictures
    batch_size: int = 128  # pairs compared with each other; more is harder and slower
    lr: float = 2e-3  # the highest learning rate; lower it for larger towers
    warmup: float = 0.1  # share of the steps over which it rises
    weight_decay: float = 0.1  # of AdamW
    captions: str = "auto"  # the data set's own where it has some; "column", "prompts": force one
    prompt: tuple[str, ...] = ()  # templates in place of the data set's; `{}` stands for the class
    targets: str = "pairs"  # "classes": any caption of a picture's class is right (prompts alone)
    shift: int = 3  # pictures are moved by up to so many pixels each way
    seed: int = 0  # of the weights, the order and what is drawn
    memory: str | None = None  # what training may take, such as 2GiB; None: what is free
    device: str = "auto"
    workers: int | None = None  # threads that read and decode; None: one a core
    on_bad: str = "list"  # an unreadable picture is left out; "fail": it ends the training

    def __post_init__(self) -> None:
        faults = [
            f"--{name.replace('_', '-')} {value}: give {wanted}."
            for name, value, fine, wanted in (
                ("epochs", self.epochs, self.epochs >= 1, "1 or more"),
                ("batch_size", self.batch_size, self.batch_size >= 2, "2 or more"),
                ("lr", self.lr, 0 < self.lr < math.inf, "a positive number"),
                ("warmup", self.warmup, 0 <= self.warmup < 1, "a share of 0 or more, below 1"),
                ("weight_decay", self.weight_decay, self.weight_decay >= 0, "0 or more"),
                ("shift", self.shift, self.shift >= 0, "0 or more"),
                ("captions", self.captions, self.captions in CAPTIONS, ", ".join(CAPTIONS)),
                ("targets", self.targets, self.targets in TARGETS, " or ".join(TARGETS)),
                ("seed", self.seed, self.seed >= 0, "0 or more"),
                ("workers", self.workers, self.workers is None or self.workers >= 1, "1 or more"),
                ("on_bad", self.on_bad, self.on_bad in ("list", "fail"), "list or fail"),
            )
            if not fine
        ]
        faults += [
            f"--prompt {template!r}: put {{}} where the class name goes."
            for template in self.prompt
            if "{}" not in template and "{c}" not in template
        ]
        if self.prompt and self.captions == "column":
            faults.append("--prompt and --captions column exclude each other; keep one.")
        if faults:
            raise UsageError(" ".join(faults))
        if self.memory is not None:
            parse_bytes(self.memory)


def train_clip(
    dataset: Dataset,
    config: ContrastiveConfig | None = None,
    out: str | Path = "clip",
    *,
    task: str | None = None,
) -> Path:
    """Train an open_clip architecture on a data set's training pictures and their captions.

    Captions are the data set's own where it has them, else its classes in its prompts. Killed and
    run again, it goes on from its checkpoint to the same weights (on a CPU with the same number of
    threads bit for bit). A training that is finished is left as it is.

    Parameters
    ----------
    dataset
        Pictures of the split "train" are used.
    config
        Default: `ContrastiveConfig()`, which trains `tiny` on the digits in half a minute.
    out
        Folder of the encoder; `load_encoder(out)` and `--encoder OUT` read it. A second process
        that trains there waits for the first.
    task
        The label column whose split and class names are taken. Default: the data set's first.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    TooLittleMemory
        The model does not fit in `config.memory`; the message says what would.
    UsageError
        Settings that cannot be, or `out` holds a training with others, or another encoder.
    DataError
        No training pictures, fewer than a batch, or nothing to tell apart.
    CliplabError
        The training diverged; the last good checkpoint is named.
    """
    config, folder = config or ContrastiveConfig(), Path(out)
    label = dataset.task(task)
    architecture = read_architecture(config.model)
    captioned = caption_pictures(
        dataset, label, (TRAIN,), captions=config.captions, templates=config.prompt
    )
    if config.targets == "classes":
        check_classes(captioned)
    identity = _identity(dataset, label.name, captioned, architecture, config)
    _is_finished(folder, identity)  # refuses another's folder before anything is written
    with locked(folder / "training", lambda: say(f"Waiting for another training in {folder} …")):
        sweep_parts(folder)
        sweep_parts(folder / "checkpoint")
        if _is_finished(folder, identity):
            say(f"{folder} holds this training, finished; remove the folder to train anew.")
        else:
            _fill(folder, dataset, captioned, architecture, config, identity)
        shutil.rmtree(folder / "checkpoint", ignore_errors=True)
    return folder


class _Job(NamedTuple):
    """All that a training goes by, settled before a picture is read."""

    architecture: Architecture
    tokens: torch.Tensor  # (K, T) int64
    plan: Plan
    keeps_pictures: bool
    device: str
    identity: Mapping[str, Any]


def _job(
    folder: Path,
    captioned: Captioned,
    architecture: Architecture,
    config: ContrastiveConfig,
    identity: Mapping[str, Any],
) -> _Job:
    """Plan; what was begun before goes on by its own plan."""
    from cliplab.encoders import planning
    from cliplab.encoders.two_passes import TECHNIQUES
    from cliplab.training.plans import as_begun, plan_table

    device = choose_device(config.device)
    built = build(architecture, config.seed, device="meta")
    tokens = built.tokenize(captioned.texts)
    _check_tokens(tokens, built.model, config.model)
    drawn = planning.sketch(built, tokens, config.targets)
    if device == "cpu":
        planning.warm_up()
    load_tensorboard()
    budget = parse_bytes(config.memory) if config.memory else free_memory(device)
    batch_size, on_cpu = config.batch_size, device == "cpu"
    cost = planning.cost_of(drawn, batch_size, len(tokens), held_memory(device), on_cpu=on_cpu)
    size = len(captioned.rows) * 3 * math.prod(built.preprocessing.size)
    found = planning.plan_training(cost, drawn, budget, batch_size, size, on_cpu=on_cpu)
    if on_cpu:
        return_freed_memory_if_tight(found.estimate.total, budget)
    plan = found.plan
    if notes := checkpoint_notes(folder / "checkpoint"):
        plan = as_begun(notes, plan, lambda begun: found.cost.of(begun).total <= budget)
    elif config.memory or plan != Plan(batch_size):
        fewest = batch_size if drawn.whole else 1
        techniques = {names: TECHNIQUES[names] for names in drawn.techniques}
        say(plan_table(found.cost, plan, found.estimate, budget, batch_size, techniques, fewest))
    return _Job(architecture, tokens, plan, found.keeps_pictures, device, identity)


def _fill(
    folder: Path,
    dataset: Dataset,
    captioned: Captioned,
    architecture: Architecture,
    config: ContrastiveConfig,
    identity: Mapping[str, Any],
) -> None:
    """Train, and write the encoder's folder."""
    from cliplab.training.plans import plan_notes

    job = _job(folder, captioned, architecture, config, identity)
    built = build(architecture, config.seed)
    if captioned.n_without:
        say(f"{captioned.n_without:,} training pictures have no caption and are left out.")
    pairs = read_pictures(
        dataset,
        captioned,
        built.preprocessing,
        keep=job.keeps_pictures,
        on_bad=config.on_bad,
        workers=config.workers,
    )
    n_train = len(pairs.captioned.rows)
    if n_train < config.batch_size:
        raise DataError(
            f"{dataset.name!r} has {n_train} training pictures, fewer than a batch of "
            f"{config.batch_size}; give --batch-size {n_train} or less."
        )
    state, losses = _trained(built, pairs, config, folder, job)
    notes = {
        "identity": identity,
        "data_set": dataset.name,
        "n_train": n_train,
        "captions": captioned.origin,
        "skipped": [skipped._asdict() for skipped in pairs.skipped],
        "losses": [round(loss, 6) for loss in losses],
        "device": job.device,
        **plan_notes(job.plan),
    }
    about = built.preprocessing.identity()
    tokens = sorted(set(job.tokens.flatten().tolist()))
    save_trained(folder, state, architecture.model_cfg, about, notes, tokens=tokens)


def _trained(
    built: Built, pairs: Pairs, config: ContrastiveConfig, folder: Path, job: _Job
) -> tuple[Mapping[str, torch.Tensor], tuple[float, ...]]:
    """Weights under open_clip's names, and the mean loss of each epoch."""
    import torch

    from cliplab.encoders import two_passes
    from cliplab.encoders.losses import loss_of_model
    from cliplab.encoders.planning import recompute_blocks
    from cliplab.encoders.token_table import cut_table, whole_state
    from cliplab.training.loop import train
    from cliplab.training.plans import plan_notes

    cut = cut_table(built.model, job.tokens)
    two_passes.draw_for_batches(built.model)
    model: Any = built.model.to(job.device)
    if job.plan.techniques:
        recompute_blocks(model, True)
    if job.plan.micro_batch < config.batch_size and two_passes.draws_by_micro_batch(model):
        say("Its dropout is drawn by micro-batch: with another --memory it is drawn otherwise.")
    gradient = two_passes.ContrastiveGradient(
        model=model,
        loss_of=loss_of_model(model, config.targets),
        tokens=job.tokens,
        plan=job.plan,
        seed=config.seed,
        gives_way=not two_passes.takes_batches_whole(model),
    )

    def after_step(_step: int) -> None:
        with torch.no_grad():
            model.logit_scale.clamp_(0, LARGEST_SCALE)

    loop = _loop(config, len(pairs.captioned.rows) // config.batch_size)
    with _watched(folder, loop.steps, pairs, config) as watch:
        done = train(
            model,
            lambda step: batches_from(
                pairs,
                step,
                batch_size=config.batch_size,
                seed=config.seed,
                shift=config.shift,
                workers=config.workers,
            ),
            gradient,
            loop,
            folder=folder / "checkpoint",
            identity=job.identity,
            notes=plan_notes(job.plan),
            after_step=after_step,
            watch=watch,
        )
    model.zero_grad()
    return whole_state(model, cut), done.losses


def _loop(config: ContrastiveConfig, steps_per_epoch: int) -> LoopConfig:
    from cliplab.training.loop import LoopConfig

    return LoopConfig(
        steps=config.epochs * steps_per_epoch,
        steps_per_epoch=steps_per_epoch,
        batch_size=config.batch_size,
        lr=config.lr,
        warmup=config.warmup,
        weight_decay=config.weight_decay,
        seed=config.seed,
    )


def _watched(
    folder: Path, steps: int, pairs: Pairs, config: ContrastiveConfig
) -> AbstractContextManager[Watch]:
    """Watch the numbers; the first few pictures are shown once, as the tower gets them."""
    few = np.arange(min(SHOWN, len(pairs.captioned.rows)))
    captions = [
        pairs.captioned.texts[i] for i in pairs.captioned.choices[pairs.captioned.start[few]]
    ]
    return watching(
        folder,
        steps,
        draw=lambda _trained: picture_grid(read_again(pairs, few, config.workers)),
        grids=0,
        about="  \n".join(captions),
    )


def _check_tokens(tokens: torch.Tensor, model: Any, name: str) -> None:
    if int(tokens.max()) >= model.vocab_size:
        raise UsageError(
            f"--model {name}: its vocabulary of {model.vocab_size:,} is too small for open_clip's "
            "tokenizer. Set vocab_size to 49408 in its text_cfg."
        )
    if n_full := int((tokens[:, -1] != 0).sum()):
        say(
            f"{n_full:,} of {len(tokens):,} captions fill the text tower's {tokens.shape[1]} "
            "tokens; what is longer is cut off at its end."
        )


def _identity(
    dataset: Dataset,
    task: str,
    captioned: Captioned,
    architecture: Architecture,
    config: ContrastiveConfig,
) -> dict[str, Any]:
    """All that the user chooses and that changes the weights, in plain types.

    Device, threads and memory are not among it: they change the last digits alone, and a training
    that began on one machine may go on on another.
    """
    settings = asdict(config)
    for name in ("workers", "on_bad", "device", "memory", "prompt"):
        del settings[name]
    return {
        **settings,
        "task": task,
        "architecture": digest_of([architecture.model_cfg, architecture.preprocess_cfg]),
        "content": dataset.content_digest(),
        "pairs": digest_of(
            [captioned.texts, captioned.choices.tolist(), captioned.n_captions.tolist()]
        ),
    }


def _is_finished(folder: Path, identity: Mapping[str, Any]) -> bool:
    """Tell whether the folder holds this training's weights; refuse what else it may hold."""
    if not is_trained(folder) and not (folder / WEIGHTS).exists():
        return False
    notes = read_json(folder / NOTES, FORMAT_VERSION) if (folder / NOTES).is_file() else {}
    if "identity" not in notes:
        raise UsageError(
            f"{folder} holds an encoder that was not trained here; give another --out."
        )
    refuse_changes(folder, notes["identity"], identity)
    return (folder / WEIGHTS).is_file()  # not, where it was cut off just before
