"""How good drawings are: a prior's, or a folder's, held against real ones by a stated protocol.

1. Of each class n drawings (100) are taken: a prior draws them at its settings, or they lie in a
   folder (`CLASS/1.png`), by whatever made them.
2. A recogniser judges. It learns from the data set's training pictures, each class as often as
   another, and has no part in drawing or in choosing among drawings.
3. Beside every number stands that of real held-out pictures (test and validation), as many of each
   class: of two disjoint halves, the second is held against the first as the drawings are.

    recognised   top-1 and top-5 of drawings and of real pictures (the ceiling), their ratio, and
                 real pictures under shuffled labels (the floor); means over classes
    distance     Fréchet distance and KID, in the recogniser's features
    manifold     precision and recall, density and coverage, in the same
    diversity    mean distance in features of two drawings of a class, over that of real ones
    taught       accuracy on real held-out pictures of a classifier that learned from the drawings
                 alone, over that of one that learned from as many real training pictures
    copies       distance of drawings to their nearest training picture, in pixels (over moves by
                 one) and in features, beside that of held-out pictures, as they are and as the
                 prior's tokenizer keeps them: first percentiles, and the closest pairs

Where the numbers come from is said in `metrics/distribution.py`, `metrics/copies.py` and
`metrics/drawings.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cliplab.nouns import Dataset, Record, digest_of
from cliplab.runtime.clock import Clock
from cliplab.runtime.errors import UsageError
from cliplab.runtime.progress import say
from cliplab.runtime.storage import home as home_of
from cliplab.runtime.storage import locked

if TYPE_CHECKING:
    from cliplab.kept_drawings import Drawer
    from cliplab.matchup import Matchup
    from cliplab.metrics.drawings import DrawingScores, Judged, Taught
    from cliplab.nouns import Pixels, Task
    from cliplab.recognizers.judging import Neighbour
    from cliplab.recognizers.saved import DrawingRecognizer

RECOGNIZER_STEPS = 2_000  # of the recogniser that judges: within two minutes of a core at 28 pixels
TAUGHT_STEPS = 600  # of each of the two classifiers that learn from as few pictures as are drawn
DRAWS = 1_000  # resamples of the intervals
PAIRS = 20  # closest pairs that are listed
PROTOCOL = 2  # raised when what is measured changes: an older run is not taken for one of today


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateDrawingsConfig:
    """How drawings are measured."""

    n: int = 100  # drawings of a class, at most; fewer say less
    seed: int = 0  # of which real pictures are taken, the classifiers and the resamples
    device: str = "auto"  # of the classifiers
    workers: int | None = None  # threads that decode; None: one a core
    on_bad: str = "list"  # an unreadable picture is listed; "fail": it ends the work
    home: Path | None = None  # where recognisers and pixels are kept; None: CLIPLAB_HOME
    out: Path | None = None  # folder of the run; None: ./runs/drawings-PRIOR-DATASET-DIGEST

    def __post_init__(self) -> None:
        from cliplab.protocol import take_paths

        take_paths(self, "home", "out")
        if self.n < 2:
            raise UsageError(f"n {self.n}: give 2 drawings a class or more.")
        if self.seed < 0:
            raise UsageError(f"seed {self.seed}: give 0 or more.")
        if self.on_bad not in ("list", "fail"):
            raise UsageError(f"--on-bad {self.on_bad}: give list or fail.")


def evaluate_drawings(
    drawings: Dataset | Drawer,
    dataset: Dataset,
    config: EvaluateDrawingsConfig | None = None,
    *,
    task: str | None = None,
) -> Record:
    """Measure drawings against the pictures of a data set, by the protocol of this module.

    Killed and run again, it goes on: drawings and classifiers are kept in the run's folder, and a
    record that is there is given back.

    Parameters
    ----------
    drawings
        Drawings as a data set, such as `open_dataset` makes of a folder; or what draws them
        (`kept_drawings.Drawer`), which then draws `config.n` of each class.
    dataset
        Of real pictures of the same classes, with training pictures and held-out ones.
    config
        Default: `EvaluateDrawingsConfig()`.
    task
        The label column of `dataset`. Default: its first.

    Returns
    -------
    Record
        What `record.json` of kind `drawings` in the run's folder holds.

    Raises
    ------
    DataError
        Classes that do not match, or too few pictures of one; the message says which.
    UsageError
        The run's folder holds drawings or classifiers of other settings.
    """
    from cliplab.matchup import Reading, match_up
    from cliplab.metrics.drawings import score_drawings
    from cliplab.report.drawings_record import finished_record
    from cliplab.runtime.storage import make_folder

    config = config or EvaluateDrawingsConfig()
    about, place = dataset.task(task), home_of(config.home)
    identity = _identity(drawings, dataset, about, config)
    run = make_folder(config.out or _run_folder(drawings, dataset, identity))
    with locked(run / "evaluation", lambda: say(f"Waiting for another evaluation in {run} …")):
        if (there := finished_record(run, identity)) is not None:
            say(f"{run} holds this evaluation already.")
            return there
        clock = Clock()
        drawn = _drawn(drawings, about, config.n, run, place)
        clock("drawing")
        reading = Reading(place / "pixels", config.workers, config.on_bad)
        matchup = match_up(drawn, dataset, about, n=config.n, seed=config.seed, reading=reading)
        clock("reading")
        recognizer = _recognizer(dataset, matchup, config, place)
        clock("recognizer")
        redrawn = None
        if not isinstance(drawings, Dataset):
            redrawn = drawings.through_tokenizer(matchup.held_out.pixels)
        judged, neighbour = _judge(matchup, recognizer, redrawn, config, run, identity)
        clock("judging")
        scores = score_drawings(judged, seed=config.seed, draws=DRAWS)
        clock("scoring")
        parts = _Parts(run, identity, drawings, drawn, dataset, matchup, recognizer, neighbour)
        return _write(parts, scores, clock, config)


# ------------------------------------------------------------------------------- what is there


def _identity(
    drawings: Dataset | Drawer, dataset: Dataset, task: Task, config: EvaluateDrawingsConfig
) -> str:
    """Digest of all that changes the record's numbers, but for the machine and the versions."""
    drawn: Any = (
        [drawings.content_digest(), _marks(drawings)]
        if isinstance(drawings, Dataset)
        else [drawings.name, dict(drawings.identity)]
    )
    real = [dataset.content_digest(), _marks(dataset), task.name]
    steps = (RECOGNIZER_STEPS, TAUGHT_STEPS)
    return digest_of([PROTOCOL, drawn, real, config.n, config.seed, steps])


def _marks(dataset: Dataset) -> list[list[object]]:
    from cliplab.tokenizers.pixel_store import source_marks

    return source_marks(dataset)


def _run_folder(drawings: Dataset | Drawer, dataset: Dataset, identity: str) -> Path:
    from cliplab.report.runs import RUNS, file_name

    return RUNS / f"drawings-{file_name(drawings.name)}-{file_name(dataset.name)}-{identity[:8]}"


def _drawn(drawings: Dataset | Drawer, task: Task, n: int, run: Path, home: Path) -> Dataset:
    """Give the drawings as a data set; draw them first where they are to be drawn."""
    if isinstance(drawings, Dataset):
        return drawings
    from cliplab.datasets.folder import open_folder
    from cliplab.kept_drawings import keep_drawings
    from cliplab.matchup import class_key

    known = {class_key(name) for name in task.class_names}
    names = [name for name in drawings.class_names if class_key(name) in known]
    if len(names) < 2:
        raise UsageError(
            f"{drawings.name} draws {len(names)} classes of the data set; it takes two or more. It "
            f"knows {', '.join(map(repr, drawings.class_names[:8]))} …; the data set has "
            f"{', '.join(map(repr, task.class_names[:8]))} …."
        )
    folder = keep_drawings(drawings, names, n, run)
    return open_folder(folder, name=str(folder), home=home)


# ------------------------------------------------------------------------------- judging


def _recognizer(
    dataset: Dataset, matchup: Matchup, config: EvaluateDrawingsConfig, home: Path
) -> DrawingRecognizer:
    """Train the recogniser that judges, or give the one that is kept."""
    from cliplab.recognizers.judging import ChosenPixels, evened
    from cliplab.recognizers.saved import load_recognizer
    from cliplab.recognizers.training import RecognizerConfig, train_recognizer
    from cliplab.runtime.devices import choose_device

    recipe = RecognizerConfig(steps=RECOGNIZER_STEPS, seed=config.seed, device=config.device)
    names, places = matchup.task.class_names, evened(matchup.training_labels)
    content = digest_of([dataset.content_digest(), matchup.task.name, _marks(dataset), "evened"])
    kept = {name: value for name, value in asdict(recipe).items() if name != "device"}
    shape = list(matchup.training.shape)
    folder = home / "recognizers" / digest_of([content, shape, kept])[:16]
    say(f"A recogniser of {len(names)} classes judges ({folder}).")
    lesson = ChosenPixels(matchup.training, places)
    labels = matchup.training_labels[places]
    train_recognizer(lesson, labels, names, recipe, folder, content=content)
    return load_recognizer(folder, device=choose_device(config.device))


def _judge(
    matchup: Matchup,
    recognizer: DrawingRecognizer,
    redrawn: np.ndarray | None,
    config: EvaluateDrawingsConfig,
    run: Path,
    identity: str,
) -> tuple[Judged, Neighbour]:
    """Measure drawings and held-out pictures one by one, these as they are and `redrawn`."""
    from cliplab.metrics.drawings import Judged
    from cliplab.recognizers.judging import nearest_training, ranks_of, seen_by

    drawn, held = matchup.drawn, matchup.held_out
    sides = [seen_by(recognizer, p.pixels, p.labels) for p in (drawn, *matchup.halves)]
    shuffled = np.random.default_rng(config.seed).permutation(held.labels)
    asked = [(drawn.pixels, drawn.labels, sides[0].features)]
    asked.append((held.pixels, held.labels, np.concatenate([s.features for s in sides[1:]])))
    if redrawn is not None:
        asked.append((redrawn, held.labels, recognizer.features(redrawn)))
    neighbour = nearest_training(
        recognizer,
        matchup.training,
        matchup.training_labels,
        *(np.concatenate(column) for column in zip(*asked, strict=True)),
    )
    ends = np.cumsum([len(labels) for _, labels, _ in asked])
    nears = [neighbour.near.of(p) for p in np.split(np.arange(ends[-1]), ends[:-1])]
    judged = Judged(
        drawn=sides[0],
        near_drawn=nears[0],
        halves=(sides[1], sides[2]),
        near_held_out=nears[1],
        shuffled=ranks_of(recognizer.scores(held.pixels), shuffled),
        taught=_taught(matchup, config, run, identity),
        near_redrawn=None if redrawn is None else nears[2],
    )
    return judged, neighbour


def _taught(matchup: Matchup, config: EvaluateDrawingsConfig, run: Path, identity: str) -> Taught:
    """Let one classifier learn from the drawings, one from as many real training pictures."""
    from cliplab.metrics.drawings import Taught
    from cliplab.recognizers.judging import ChosenPixels, HeldPixels, known_after
    from cliplab.recognizers.training import RecognizerConfig
    from cliplab.runtime.devices import choose_device

    drawn, held = matchup.drawn, matchup.held_out
    recipe = RecognizerConfig(steps=TAUGHT_STEPS, seed=config.seed, device=config.device)
    places = _as_many(matchup, config.seed)
    lessons: dict[str, tuple[Pixels, np.ndarray]] = {
        "drawings": (HeldPixels(drawn.pixels), drawn.labels),
        "real": (ChosenPixels(matchup.training, places), matchup.training_labels[places]),
    }
    known = [
        known_after(
            pixels,
            labels,
            matchup.task.class_names,
            held.pixels,
            held.labels,
            run / "taught" / name,
            recipe,
            content=identity,
            device=choose_device(config.device),
        )
        for name, (pixels, labels) in lessons.items()
    ]
    return Taught(held.labels, *known)


def _as_many(matchup: Matchup, seed: int) -> np.ndarray:
    """Places of as many training pictures of each class as there are drawings of it."""
    labels, counts = np.unique(matchup.drawn.labels, return_counts=True)
    found = [
        np.random.default_rng([seed, number]).permutation(
            np.flatnonzero(matchup.training_labels == number)
        )[:count]
        for number, count in zip(labels.tolist(), counts.tolist(), strict=True)
    ]
    return np.concatenate(found)


# ------------------------------------------------------------------------------- the record


class _Parts(NamedTuple):
    run: Path
    identity: str
    drawings: Dataset | Drawer
    drawn: Dataset  # the same as a data set
    dataset: Dataset
    matchup: Matchup
    recognizer: DrawingRecognizer
    neighbour: Neighbour


def _write(
    parts: _Parts, scores: DrawingScores, clock: Clock, config: EvaluateDrawingsConfig
) -> Record:
    from cliplab.report.drawings_record import make_drawings_record, write_drawings_record
    from cliplab.runtime.machine import machine, versions

    matchup, recognizer = parts.matchup, parts.recognizer
    rows, pairs = _closest(parts)
    record = make_drawings_record(
        run=parts.run,
        identity=parts.identity,
        drawings=_drawings_block(parts),
        dataset=_dataset_block(parts),
        recognizer=recognizer,
        class_names=[matchup.task.class_names[c] for c in np.unique(matchup.drawn.labels)],
        scores=scores,
        pairs=pairs,
        left_out=matchup.left_out,
        skipped=matchup.skipped,
        config=asdict(config),
        timings=clock.seconds,
        machine=machine(recognizer.device),
        versions=versions(),
        seed=config.seed,
    )
    _draw_pairs(parts, rows)
    write_drawings_record(parts.run, record)
    return record


def _drawings_block(parts: _Parts) -> Mapping[str, Any]:
    """Whose drawings they are, and which."""
    drawn, by = parts.drawn, parts.drawings
    return {
        "name": by.name,
        "drawer": None if isinstance(by, Dataset) else dict(by.identity),
        "losses": [] if isinstance(by, Dataset) else list(by.losses),
        "n": len(parts.matchup.drawn.labels),
        "digest": drawn.content_digest(),
        "location": None if drawn.location is None else str(drawn.location),
        "shape": list(parts.matchup.training.shape),
    }


def _dataset_block(parts: _Parts) -> Mapping[str, Any]:
    dataset, matchup = parts.dataset, parts.matchup
    return {
        "name": dataset.name,
        "task": matchup.task.name,
        "n_train": len(matchup.training_labels),
        "n_held_out": len(matchup.held_out.labels),
        "digest": dataset.content_digest(),
        "split_origin": dataset.split_origin,
        "licence": dataset.card.licence,
        "location": None if dataset.location is None else str(dataset.location),
    }


def _closest(parts: _Parts) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Places of the drawings that are nearest to a training picture in pixels, and the pairs."""
    matchup, near = parts.matchup, parts.neighbour.near
    n = len(matchup.drawn.labels)
    order = np.lexsort((near.features[:n], near.pixels[:n]))[:PAIRS]
    ids = parts.dataset.ids[matchup.training.rows[parts.neighbour.by_pixels[order]]]
    pairs = [
        {
            "drawing": str(matchup.drawn.ids[place]),
            "training": str(other),
            "pixels": float(near.pixels[place]),
            "features": float(near.features[place]),
        }
        for place, other in zip(order.tolist(), ids, strict=True)
    ]
    return order, pairs


def _draw_pairs(parts: _Parts, rows: np.ndarray) -> None:
    """Draw the closest pairs, drawings above and training pictures below, to look at."""
    from cliplab.pictures.grid import above_each_other, save_picture
    from cliplab.report.drawings_record import CLOSEST

    below = parts.matchup.training.read(parts.neighbour.by_pixels[rows])
    save_picture(parts.run / CLOSEST, above_each_other(parts.matchup.drawn.pixels[rows], below))
