"""What is measured and how: the settings of an evaluation, and the pictures that it looks at."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cliplab.lesson import Lesson, learn_from, some
from cliplab.nouns import TEST, TRAIN, VALIDATION, Dataset, Encoder, Prompts, Task
from cliplab.runtime.errors import DataError, UsageError
from cliplab.runtime.storage import home as home_of

if TYPE_CHECKING:
    from cliplab.classifiers.family import ProbeConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateConfig:
    """How an evaluation is done; each field is an option of `cliplab evaluate`."""

    classifier: tuple[str, ...] = ("zero_shot", "linear_probe")
    train_on: str | None = (
        None  # another data set that the probe is fitted on; None: the scored one
    )
    split: str = TEST  # what is scored; "all" is for zero-shot alone
    prompt: tuple[str, ...] = ()  # templates given outright; `{}` stands for the class
    prompts: str | None = None  # or a named set or file: "simple", "openai-80", "my.txt"
    classes: Path | None = None  # a file of readable names of the classes
    deduplicate: bool = False  # whether a picture that stands in the set twice counts once
    protocol: str = "fast"  # of the probe: "paper", "readme" or "fast"
    features: str | None = None  # what is read: "pre", before the projection, or "post", after it;
    # None: the protocol's for a probe, "post" for retrieval
    normalize: bool = False  # whether the probe's features are scaled to unit length
    c: float | None = None  # the probe's C; None: the protocol's, which may be to choose it
    weights: Path | None = None  # a local checkpoint for the encoder named
    device: str = "auto"
    precision: str | None = None  # None: float32
    batch_size: int = 64  # pictures encoded at once; changes the last digits of vectors
    workers: int | None = None  # threads that read and decode; None: one a core
    shots: tuple[int, ...] = ()  # training pictures a class of few-shot curves; (): no curves
    repeats: int = 5  # draws for each number of shots
    seed: int = 0  # of the validation part, the draws and the bootstrap
    on_bad: str = "list"  # an unreadable picture is listed; "fail": it ends the run
    max_pixels: int | None = None  # larger pictures count as unreadable; None: the stated limit
    out: Path | None = None  # folder of the run; None: ./runs/DATASET-ENCODER-DATE
    report: bool = True  # whether report.html is written into that folder as well
    home: Path | None = None  # folder of what is kept; None: CLIPLAB_HOME

    def __post_init__(self) -> None:
        take_paths(self, "classes", "weights", "out", "home")
        if self.split not in (TEST, VALIDATION, TRAIN, "all"):
            raise UsageError(f"--split {self.split}: give test, validation, train or all.")
        if not self.classifier:
            raise UsageError("No classifier named; give --classifier zero_shot,linear_probe.")
        probe_config(self)  # refuses a protocol, features or a C that cannot be
        self._check_shots()

    def _check_shots(self) -> None:
        if any(n < 1 for n in self.shots) or list(self.shots) != sorted(set(self.shots)):
            shown = ",".join(map(str, self.shots))
            raise UsageError(f"--shots {shown}: give numbers of 1 or more, rising, as 1,2,4,8,16.")
        if self.repeats < 1:
            raise UsageError(f"--repeats {self.repeats}: give 1 or more.")
        if self.shots and set(self.classifier) == {"zero_shot"}:
            raise UsageError("--shots wants a classifier that learns: --classifier linear_probe.")

    def as_json(self) -> dict[str, Any]:
        """Give the fields as plain JSON types."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {k: str(v) if isinstance(v, Path) else v for k, v in values.items()}


RETRIEVAL = "retrieval"  # the task that every data set with queries or captions has


def take_paths(config: object, *names: str) -> None:
    """Turn the strings among these fields of a frozen dataclass into paths."""
    for name in names:
        if isinstance(value := getattr(config, name), str):
            object.__setattr__(config, name, Path(value))


class Subject(NamedTuple):
    """What is looked at: pictures, the task, its classes in words and their prompts."""

    dataset: Dataset
    task: Task
    class_names: tuple[str, ...]  # C names as they stand in captions and tables
    prompts: Prompts
    lesson: Lesson | None = None  # training pictures of another data set; None: its own

    @property
    def catch_all(self) -> tuple[int, ...]:
        """Labels, among the classes scored, of those that hold what fits no other."""
        found = [self.task.class_names.index(name) for name in self.task.catch_all]
        if self.lesson is not None:
            found = [int(c) for c in self.lesson.scored[found] if c >= 0]
        return tuple(found)


class Part(NamedTuple):
    """Pictures that are encoded for one purpose."""

    dataset: Dataset
    task: str
    rows: np.ndarray  # (n,) int64
    classes: np.ndarray | None  # its class → class scored; None: as they stand


def open_subject(dataset: str | Path | Dataset, config: EvaluateConfig) -> Subject:
    """Find the data set and task by name; settle class names and prompts by their one rule."""
    data, task = _open(dataset, config)
    if is_retrieval(data, task):
        return Subject(data, task, (), Prompts("captions"))
    return subject_of(data, task.name, config)


def subject_of(data: Dataset, task_name: str | None, config: EvaluateConfig) -> Subject:
    """Settle class names and prompts of a task (None: the default one) by their one rule."""
    from cliplab.embeddings.class_names import resolve_class_names
    from cliplab.embeddings.prompts import resolve_prompts

    data, task = _once(data, config), data.task(task_name)
    if not task.class_names:
        raise DataError(
            f"{data.name!r} has captions and no classes, so that there is nothing to tell apart. "
            "Say in a labels.csv (path,label) what the pictures show, or score how they are found "
            f"by their captions: {data.name}:{RETRIEVAL}."
        )
    names = resolve_class_names(task, config.classes, data.name)
    named = replace(task, class_names=names)  # prompts by class are found by the names in use
    prompts = resolve_prompts(config.prompt, config.prompts, named, data.name)
    subject = Subject(data, task, names, prompts)
    if config.train_on is None:
        return subject
    teacher, lessons = _open(config.train_on, config)
    return taught_by(subject, learn_from((data, task), (_once(teacher, config), lessons)))


def taught_by(subject: Subject, lesson: Lesson) -> Subject:
    """Give the subject with the training pictures, and the classes, of a lesson."""
    names = tuple(n for n, c in zip(subject.class_names, lesson.scored, strict=True) if c >= 0)
    return subject._replace(class_names=names, lesson=lesson)


def scored_part(subject: Subject, split: str) -> Part:
    """Give the pictures of a split of which the class is scored."""
    data, task, lesson = subject.dataset, subject.task.name, subject.lesson
    rows = data.rows(task, split)
    if lesson is None:
        return Part(data, task, rows, None)
    return Part(data, task, rows[lesson.scored[data.labels[task][rows]] >= 0], lesson.scored)


def training_part(subject: Subject, split: str) -> Part:
    """Give the pictures of a split that are learned from, of the classes that are scored."""
    lesson = subject.lesson
    if lesson is None:
        return scored_part(subject, split)
    rows = lesson.dataset.rows(lesson.task.name, split)
    rows = rows[lesson.classes[lesson.dataset.labels[lesson.task.name][rows]] >= 0]
    return Part(lesson.dataset, lesson.task.name, rows, lesson.classes)


def _open(dataset: str | Path | Dataset, config: EvaluateConfig) -> tuple[Dataset, Task]:
    from cliplab.datasets.family import open_dataset

    if isinstance(dataset, Dataset):
        data, task = dataset, dataset.task().name
    else:
        name, home = str(dataset), home_of(config.home)
        base, _, asked = name.rpartition(":")
        if base and asked == RETRIEVAL and not Path(name).is_dir():
            data, _task = open_dataset(base, home=home)
            if RETRIEVAL not in data.tasks:
                return data, Task(RETRIEVAL, ())
        data, task = open_dataset(name, home=home)
    return data, data.task(task)


def _once(data: Dataset, config: EvaluateConfig) -> Dataset:
    from cliplab.datasets.duplicates import deduplicated

    return deduplicated(data) if config.deduplicate else data


def is_retrieval(dataset: Dataset, task: Task) -> bool:
    """Tell whether pictures are to be found, not told apart."""
    return task.name == RETRIEVAL and RETRIEVAL not in dataset.tasks


def check(subject: Subject, config: EvaluateConfig) -> None:
    """Refuse what cannot be scored, before the long work begins."""
    data, task = subject.dataset, subject.task
    if is_retrieval(data, task):
        _check_retrieval(data, config)
        return
    if config.split != TEST and set(config.classifier) != {"zero_shot"}:
        raise UsageError(
            f"--split {config.split} is for zero-shot alone, since the others are fitted on the "
            "training pictures; add --classifier zero_shot."
        )
    if config.train_on is not None and set(config.classifier) == {"zero_shot"}:
        raise UsageError(
            "--train-on has nothing to do, since zero-shot learns nothing; add --classifier "
            "linear_probe, or leave it out."
        )
    if len(task.class_names) < 2:
        raise DataError(
            f"{data.name!r} has one class alone ({task.class_names[0]!r}), so that any answer is "
            "right: it takes at least two. For single pictures use `cliplab classify`."
        )
    if not len(scored_part(subject, config.split).rows):
        there = sorted({str(split) for split in data.splits[task.name]} - {""})
        raise DataError(
            f"{data.name!r} has no labelled picture in the split {config.split!r}; it has "
            f"{', '.join(there) or 'no split'}. Choose with --split."
        )
    if set(config.classifier) != {"zero_shot"} and subject.lesson is None:
        _check_training(subject)
    if config.shots:
        from cliplab.few_shot import check_shots

        part = training_part(subject, TRAIN)
        labels = part.dataset.labels[part.task][part.rows]
        labels = labels if part.classes is None else part.classes[labels]
        may_lack = subject.task.may_lack_training
        check_shots(labels, subject.class_names, config.shots, may_lack=may_lack)


def _check_retrieval(data: Dataset, config: EvaluateConfig) -> None:
    if config.train_on is not None:
        raise UsageError("--train-on has nothing to do: retrieval learns nothing. Leave it out.")
    if not data.queries and data.captions is None:
        raise DataError(
            f"{data.name!r} has nothing to be found: neither queries (as oxford and paris have) "
            "nor captions. Put a captions.csv with path,caption lines into the folder, or leave "
            f":{RETRIEVAL} out."
        )
    if config.deduplicate:
        raise UsageError("--deduplicate goes with classes, not with retrieval; leave it out.")
    if config.features not in (None, "pre", "post"):
        raise UsageError(f"--features {config.features}: give pre or post.")
    if config.features == "pre" and not data.queries:
        raise UsageError(
            "Captions and pictures meet after the projection alone; leave --features pre out."
        )


def _check_training(subject: Subject) -> None:
    from cliplab.datasets.splits import trained_classes, untrained_classes

    data, task = subject.dataset, subject.task
    columns = (data.labels[task.name], data.splits[task.name])
    missing = [task.class_names[c] for c in untrained_classes(*columns)]
    if task.may_lack_training and len(trained_classes(*columns)) < 2:
        raise DataError(
            f"{data.name!r} has training pictures of one class of {task.name!r} at most, and a "
            "probe takes two. Name a data set that holds more of them, or score zero-shot alone "
            "with --classifier zero_shot."
        )
    if missing and not task.may_lack_training:
        raise DataError(
            f"{len(missing)} of {len(task.class_names)} classes have no training picture: "
            f"{some(missing)}. "
            "A probe cannot learn them: add pictures, leave the classes out, or score zero-shot "
            "alone with --classifier zero_shot."
        )


def warnings_of(subject: Subject, config: EvaluateConfig) -> list[str]:
    """Say what a reader of the table must know first: what is missing, doubled, or only a code."""
    from cliplab.datasets.duplicates import warning_of_doubles
    from cliplab.datasets.names import looks_like_codes

    found = [*_left_out(subject), *_untrained(subject, config)]
    found += warning_of_doubles(subject.dataset, subject.task.name)
    if "zero_shot" not in config.classifier or not looks_like_codes(subject.class_names):
        return found
    shown = ", ".join(subject.class_names[:3])
    return [
        *found,
        f"the class names look like codes ({shown}, …), of which a text tower knows nothing: "
        "zero-shot will be near chance. Name them in a file, one a line or `code,name`: "
        "--classes FILE.",
    ]


def _left_out(subject: Subject) -> list[str]:
    lesson = subject.lesson
    if lesson is None or not lesson.left_out:
        return []
    n = len(scored_part(subject, "all").rows)
    return [
        f"scored on the {len(subject.class_names)} classes that {subject.dataset.name!r} shares "
        f"with {lesson.dataset.name!r} and that have training pictures there ({n:,} of "
        f"{len(subject.dataset.rows(subject.task.name)):,} pictures); left out: "
        f"{some(lesson.left_out)}."
    ]


def _untrained(subject: Subject, config: EvaluateConfig) -> list[str]:
    """Say which classes a probe cannot answer with, where the source lacks their pictures."""
    from cliplab.datasets.splits import untrained_classes

    data, task = subject.dataset, subject.task
    missing = untrained_classes(data.labels[task.name], data.splits[task.name])
    if not len(missing) or set(config.classifier) == {"zero_shot"} or subject.lesson is not None:
        return []
    n = int(np.isin(data.labels[task.name][data.rows(task.name, TEST)], missing).sum())
    shown = ", ".join(task.class_names[c] for c in missing[:8]) + (", …" * (len(missing) > 8))
    return [
        f"{len(missing)} of {len(task.class_names)} classes have no training picture ({shown}): a "
        f"probe cannot answer with them, and their {n:,} test pictures count as wrong for it."
    ]


def in_words(subject: Subject, encoder: Encoder, config: EvaluateConfig) -> str:
    """Say the protocol in a sentence or two, as it goes into the record."""
    said = [f"Scored on the split {config.split!r} ({subject.dataset.split_origin})."]
    if "zero_shot" in config.classifier:
        said.append(
            "Zero-shot: each prompt's vector normalised, mean, normalised again; softmax of the "
            f"cosine times {encoder.logit_scale:.4g}."
        )
    if "linear_probe" in config.classifier:
        probe = probe_config(config)
        before = probe.features == "pre" and encoder.feature_width is not None
        where = "before the projection" if before else "after it"
        chosen = "given" if probe.c else "chosen on a part of the training pictures, then refitted"
        said.append(
            f"Linear probe (protocol {config.protocol}): logistic regression on the features "
            f"{where}; C {chosen}."
        )
    if subject.lesson is not None and set(config.classifier) != {"zero_shot"}:
        said.append(f"Fitted on the training pictures of {subject.lesson.dataset.name!r}.")
    return " ".join(said)


def probe_config(config: EvaluateConfig) -> ProbeConfig:
    """Settle what the probe reads and its C: as given, else as the protocol has it."""
    from cliplab.classifiers.family import ProbeConfig
    from cliplab.classifiers.protocols import probe_protocol

    recipe = probe_protocol(config.protocol)
    return ProbeConfig(
        protocol=config.protocol,
        features=config.features or recipe.features,
        normalize=config.normalize,
        c=recipe.c if config.c is None else config.c,
    )
