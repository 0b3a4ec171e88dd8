"""Captions of drawings in many wordings, so that a model learns the thing and not the phrase.

What people type for one thing differs: "cat", "A CAT.", "a doodle of a cat". Trained on one phrase
alone, a text tower puts the others somewhere else; trained on all, in the same place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from cliplab.datasets.drawings import PROMPTS
from cliplab.datasets.words import SHIPPED, read_words
from cliplab.nouns import Dataset, Prompts

NAME = "wordings of drawings"
KINDS = (
    "drawing",
    "doodle",
    "sketch",
    "picture",
    "line drawing",
    "simple drawing",
    "simple line drawing",
    "quick drawing",
    "quick sketch",
    "rough sketch",
    "hand-drawn sketch",
    "hand drawn picture",
    "black and white drawing",
    "black and white sketch",
    "simple black and white doodle",
    "child's drawing",
    "pencil drawing",
    "pen drawing",
    "cartoon",
    "drawn picture",
)
"""What a drawing may be called: "a doodle of a cat", "doodle of a cat", "cat doodle"."""
WITH_ARTICLE = (
    "{}",
    "the {bare}",
    "this is {}",
    "draw {}",
    "please draw {}",
    "draw me {}",
    "sketch {}",
    "a hand-drawn {bare}",
    "a hand drawn {bare}",
    "a drawn {bare}",
    "a sketched {bare}",
    "{}, drawn in twenty seconds",
    "{}, drawn by hand",
    "a drawing of {} in a few lines",
    "a rough line drawing of {}, made in seconds",
    "a drawing of the {bare}",
    "a doodle of one {bare}",
)
"""`{}` is the thing in words ("an apple"), `{bare}` its name ("apple")."""

_IRREGULAR = frozenset(["fish", "foot", "knife", "leaf", "mouse", "scissors", "sheep", "tooth"])


def wordings(name: str, words: str) -> tuple[str, ...]:
    """All the ways in which one thing is asked for.

    Parameters
    ----------
    name
        The class: "cat".
    words
        What it is called in a sentence: "a cat".

    Returns
    -------
    tuple of str
        Each of them once, without and with a full stop; the name alone comes first.

    Examples
    --------
    >>> wordings("apple", "an apple")[:4]
    ('apple', 'apple.', 'an apple', 'an apple.')
    """
    bare = re.sub(r"^(an?|the) ", "", words)
    found = [name, *(t.replace("{bare}", bare).replace("{}", words) for t in WITH_ARTICLE)]
    for kind in KINDS:
        found += [f"a {kind} of {words}", f"{kind} of {words}", f"{bare} {kind}"]
        found += [f"a {kind} of {bare}"]
    found += [template.replace("{}", name) for template in PROMPTS.templates]
    if (several := plural(bare)) and re.match("an? ", words):
        found += [several, f"drawings of {several}", f"draw {several}", f"a drawing of {several}"]
    return tuple(dict.fromkeys(text + stop for text in found for stop in ("", ".")))


def plural(name: str) -> str | None:
    """Several of a thing, where the rule is regular.

    >>> plural("cat"), plural("octopus"), plural("cherry"), plural("mouse")
    ('cats', 'octopuses', 'cherries', None)
    """
    if name.rpartition(" ")[2] in _IRREGULAR:
        return None
    if re.search(r"(s|x|z|ch|sh)$", name):
        return f"{name}es"
    if re.search(r"[^aeiou]y$", name):
        return f"{name[:-1]}ies"
    return f"{name}s"


def caption_sketches(class_names: Sequence[str]) -> Prompts:
    """Give every class its wordings, as prompts to train on.

    How a class is called in a sentence ("an apple", "the Mona Lisa") is read from the words that
    come with cliplab for the 345 classes of Quick, Draw!; another class is called "a NAME".

    Parameters
    ----------
    class_names
        C names.
    """
    called = {_alike(k): v for k, v in read_words(SHIPPED / "domainnet.label.words.txt").items()}
    texts = {name: wordings(name, called.get(_alike(name), f"a {name}")) for name in class_names}
    return Prompts(NAME, ("{}",), texts)


def with_wordings(dataset: Dataset, task: str) -> Dataset:
    """Give the data set with the wordings of its classes in place of the task's prompts."""
    label = dataset.task(task)
    prompts = caption_sketches(label.class_names)
    return replace(dataset, tasks={**dataset.tasks, task: replace(label, prompts=prompts)})


def _alike(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name).strip().casefold()
