"""What a prompt asks for: its words as an encoder is to read them, and the classes that they name.

A prior that was trained on classes can draw these and nothing else, whatever the words around them.
A class is found in a prompt as whole words, in any case, in the plural, and however it is joined
("alarm-clock", "bow tie" for "bowtie"); the longest name counts where several fit.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from cliplab.runtime.errors import UnknownName, UsageError

LISTED = 60  # class names in a message, at most
LONGEST = 5  # words of a name, at most
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_ARTICLE = re.compile(r"^(?:the|an|a) ")
_PLURALS = (  # ending of one, of several
    ("man", "men"), ("mouse", "mice"), ("tooth", "teeth"), ("foot", "feet"), ("goose", "geese"),
    ("child", "children"), ("leaf", "leaves"), ("knife", "knives"), ("shelf", "shelves"),
    ("scarf", "scarves"), ("wolf", "wolves"), ("octopus", "octopi"), ("cactus", "cacti"),
    ("potato", "potatoes"), ("tomato", "tomatoes"),
)  # fmt: skip


class Reading(NamedTuple):
    """A prompt, read."""

    text: str  # as it was given
    words: str  # what the encoder reads: classes by their own names, the rest in lower case
    classes: tuple[str, ...]  # those that it names, in its order, each once


class UnknownClass(UnknownName):
    """A prompt that names nothing a prior can draw; the message gives the nearest and the list."""

    def __init__(self, prompt: str, prior: str, class_names: Sequence[str]) -> None:
        self.message = (
            f"{prompt!r} names nothing that the prior {prior!r} can draw: it knows "
            f"{len(class_names)} classes. Nearest by spelling: {_nearest(prompt, class_names)}. "
            f"All: {_listed(class_names)}. For others train a larger one (`cliplab train prior "
            "DATASET --tokenizer T`) and draw with it: --prior FOLDER."
        )
        UsageError.__init__(self, self.message)


def normalised(text: str) -> str:
    """Give a prompt as encoders read it best.

    NFC, lower case, single spaces, no quotes around it nor punctuation at its ends.

    >>> normalised("  A\u00a0CAT. ")
    'a cat'
    """
    folded = " ".join(unicodedata.normalize("NFC", text).lower().replace("_", " ").split())
    return re.sub(r"^[^\w]+|[^\w]+$", "", folded)


def read_prompt(text: str, class_names: Sequence[str] = (), *, prior: str = "") -> Reading:
    """Read a prompt for a prior of these classes; of none: its words are taken as they are.

    Parameters
    ----------
    text
        What the user asks for.
    class_names
        Of the prior; empty if it was trained on free captions.
    prior
        Its name, for the message.

    Raises
    ------
    UsageError
        There are no words.
    UnknownClass
        None of the classes is named.

    Examples
    --------
    >>> read_prompt("Two Alarm-Clocks!", ["alarm clock", "clock"])
    Reading(text='Two Alarm-Clocks!', words='two alarm clock', classes=('alarm clock',))
    """
    words = normalised(text)
    if not words:
        raise UsageError(f"The prompt {text!r} has no words. Say what is to be drawn: 'a cat'.")
    if not class_names:
        return Reading(text, words, ())
    parts: list[str] = []
    named: list[str] = []
    last = 0
    for found in _classes_in(words, _spellings(class_names)):
        parts += [words[last : found.start], found.spelled]
        named.append(found.name)
        last = found.end
    if not named:
        raise UnknownClass(text, prior, class_names)
    return Reading(text, "".join([*parts, words[last:]]), tuple(dict.fromkeys(named)))


# ------------------------------------------------------------------------------- spellings


class _Spelling(NamedTuple):
    name: str  # of the class
    spelled: str  # what stands in the prompt instead


class _Found(NamedTuple):
    start: int
    end: int
    name: str
    spelled: str


def _classes_in(words: str, spellings: dict[str, _Spelling]) -> Iterator[_Found]:
    """Find the classes from left to right, the longest first; none overlaps another."""
    spans = [(match.start(), match.end()) for match in _WORD.finditer(words)]
    first = 0
    while first < len(spans):
        for last in range(min(len(spans), first + LONGEST), first, -1):
            start, end = spans[first][0], spans[last - 1][1]
            known = spellings.get(_joined(words[start:end]))
            if known is not None:
                yield _Found(start, end, *known)
                first = last - 1
                break
        first += 1


def _joined(words: str) -> str:
    """Letters and digits alone; a possessive's "'s" counts for nothing."""
    return "".join(re.sub(r"['’]s\b", "", word) for word in _WORD.findall(words))


def _spellings(class_names: Iterable[str]) -> dict[str, _Spelling]:
    """Every spelling, joined, to the class that it means; a class's own name comes before others'.

    >>> sorted(_spellings(["The Mona Lisa"]))
    ['monalisa', 'monalisas', 'themonalisa', 'themonalisas']
    """
    own: dict[str, _Spelling] = {}
    others: dict[str, _Spelling] = {}
    for name in class_names:
        whole = normalised(name)
        for key in dict.fromkeys(map(_joined, (whole, _ARTICLE.sub("", whole)))):
            own.setdefault(key, _Spelling(name, whole))
            for variant in _of_another_number(key):
                others.setdefault(variant, _Spelling(name, whole))
    return {**others, **own}


def _of_another_number(key: str) -> Iterator[str]:
    """Give the plurals of a name, and the singular of one that is a plural."""
    yield f"{key}s"
    if key.endswith(("s", "x", "z", "ch", "sh")):
        yield f"{key}es"
    if key.endswith("y"):
        yield f"{key[:-1]}ies"
    if key.endswith(("sses", "xes", "ches", "shes")):
        yield key[:-2]
    elif key.endswith("s") and not key.endswith(("ss", "us")) and len(key) > 4:
        yield key[:-1]
    for one, several in _PLURALS:
        if key.endswith(one):
            yield key.removesuffix(one) + several


# ------------------------------------------------------------------------------- the nearest


def _nearest(prompt: str, class_names: Sequence[str], most: int = 3) -> str:
    """Give the class names that are spelled most like some words of the prompt."""
    words = _WORD.findall(normalised(prompt))
    runs = {"".join(words[i:j]) for i in range(len(words)) for j in range(i + 1, i + 4)}
    score = {
        name: max(difflib.SequenceMatcher(None, run, _joined(normalised(name))).ratio()
                  for run in runs)
        for name in class_names
    }  # fmt: skip
    best = sorted(score, key=lambda name: (-score[name], name))[:most]
    return ", ".join(map(repr, best))


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(sorted(names, key=str.casefold)[:LISTED])
    return shown if len(names) <= LISTED else f"{shown}, … ({len(names)})"
