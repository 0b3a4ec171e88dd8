"""What is measured and how: the settings of an evaluation, and the pictures that it looks at."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cliplab.nouns import TEST, TRAIN, VALIDATION, Dataset, Encoder, Prompts, Task
from cliplab.runtime.errors import DataError, UsageError
from cliplab.runtime.storage import home as home_of

if TYPE_CHECKING:
    from cliplab.classifiers.family import ProbeConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateConfig:
    """How an evaluation is done; each field is an option of `cliplab evaluate`."""

    classifier: tuple[str, ...] = ("zero_shot", "linear_probe")
    split: str = TEST  # what is scored; "all" is for zero-shot alone
    prompt: tuple[str, ...] = ()  # templates given outright; `{}` stands for the class
    prompts: str | None = None  # or a named set or file: "simple", "openai-80", "my.txt"
    classes: Path | None = None  # a file of readable names of the classes
    deduplicate: bool = False  # whether a picture that stands in the set twice counts once
    protocol: str = "fast"  # of the probe: "paper", "readme" or "fast"
    features: str | None = None  # "pre", before the projection, or "post"; None: the protocol's
    normalize: bool = False  # whether the probe's features are scaled to unit length
    c: float | None = None  # the probe's C; None: the protocol's, which may be to choose it
    weights: Path | None = None  # a local checkpoint for the encoder named
    device: str = "auto"
    precision: str | None = None  # None: float32
    batch_size: int = 64  # pictures encoded at once; changes the last digits of vectors
    workers: int | None = None  # threads that read and decode; None: one a core
    seed: int = 0  # of the validation part and the bootstrap
    on_bad: str = "list"  # an unreadable picture is listed; "fail": it ends the run
    max_pixels: int | None = None  # larger pictures count as unreadable; None: the stated limit
    out: Path | None = None  # folder of the run; None: ./runs/DATASET-ENCODER-DATE
    home: Path | None = None  # folder of what is kept; None: CLIPLAB_HOME

    def __post_init__(self) -> None:
        if self.split not in (TEST, VALIDATION, TRAIN, "all"):
            raise UsageError(f"--split {self.split}: give test, validation, train or all.")
        if not self.classifier:
            raise UsageError("No classifier named; give --classifier zero_shot,linear_probe.")
        if self.split != TEST and set(self.classifier) != {"zero_shot"}:
            raise UsageError(
                f"--split {self.split} is for zero-shot alone, since the others are fitted on the "
                "training pictures; add --classifier zero_shot."
            )
        probe_config(self)  # refuses a protocol, features or a C that cannot be

    def as_json(self) -> dict[str, Any]:
        """Give the fields as plain JSON types."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {k: str(v) if isinstance(v, Path) else v for k, v in values.items()}


class Subject(NamedTuple):
    """What is looked at: pictures, the task, its classes in words and their prompts."""

    dataset: Dataset
    task: Task
    class_names: tuple[str, ...]  # C names as they stand in captions and tables
    prompts: Prompts

    @property
    def catch_all(self) -> tuple[int, ...]:
        """Labels of the classes that hold what fits no other."""
        return tuple(self.task.class_names.index(name) for name in self.task.catch_all)


def open_subject(dataset: str | Path | Dataset, config: EvaluateConfig) -> Subject:
    """Find the data set and task by name; settle class names and prompts by their one rule."""
    from cliplab.datasets.family import open_dataset

    if isinstance(dataset, Dataset):
        return subject_of(dataset, None, config)
    return subject_of(*open_dataset(str(dataset), home=home_of(config.home)), config)


def subject_of(data: Dataset, task_name: str | None, config: EvaluateConfig) -> Subject:
    """Settle class names and prompts of a task (None: the default one) by their one rule."""
    from cliplab.datasets.duplicates import deduplicated
    from cliplab.embeddings.class_names import resolve_class_names
    from cliplab.embeddings.prompts import resolve_prompts

    task = data.task(task_name)
    if config.deduplicate:
        data = deduplicated(data)
    names = resolve_class_names(task, config.classes, data.name)
    named = replace(task, class_names=names)  # prompts by class are found by the names in use
    prompts = resolve_prompts(config.prompt, config.prompts, named, data.name)
    return Subject(data, task, names, prompts)


def check(subject: Subject, config: EvaluateConfig) -> None:
    """Refuse what cannot be scored, before the long work begins."""
    data, task = subject.dataset, subject.task
    if len(task.class_names) < 2:
        raise DataError(
            f"{data.name!r} has one class alone ({task.class_names[0]!r}), so that any answer is "
            "right: it takes at least two. For single pictures use `cliplab classify`."
        )
    if not len(data.rows(task.name, config.split)):
        there = sorted({str(split) for split in data.splits[task.name]} - {""})
        raise DataError(
            f"{data.name!r} has no labelled picture in the split {config.split!r}; it has "
            f"{', '.join(there) or 'no split'}. Choose with --split."
        )
    if set(config.classifier) != {"zero_shot"}:
        _check_training(subject)


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
        shown = ", ".join(map(repr, missing[:8])) + (" …" if len(missing) > 8 else "")
        raise DataError(
            f"{len(missing)} of {len(task.class_names)} classes have no training picture: {shown}. "
            "A probe cannot learn them: add pictures, leave the classes out, or score zero-shot "
            "alone with --classifier zero_shot."
        )


def warnings_of(subject: Subject, config: EvaluateConfig) -> list[str]:
    """Say what a reader of the table must know first: what is missing, doubled, or only a code."""
    from cliplab.datasets.duplicates import warning_of_doubles
    from cliplab.datasets.names import looks_like_codes

    found = [*_untrained(subject, config), *warning_of_doubles(subject.dataset, subject.task.name)]
    if "zero_shot" not in config.classifier or not looks_like_codes(subject.class_names):
        return found
    shown = ", ".join(subject.class_names[:3])
    return [
        *found,
        f"the class names look like codes ({shown}, …), of which a text tower knows nothing: "
        "zero-shot will be near chance. Name them in a file, one a line or `code,name`: "
        "--classes FILE.",
    ]


def _untrained(subject: Subject, config: EvaluateConfig) -> list[str]:
    """Say which classes a probe cannot answer with, where the source lacks their pictures."""
    from cliplab.datasets.splits import untrained_classes

    data, task = subject.dataset, subject.task
    missing = untrained_classes(data.labels[task.name], data.splits[task.name])
    if not len(missing) or set(config.classifier) == {"zero_shot"}:
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
