"""The prompts that ship: every class of every task has captions of its own, in good English."""

from __future__ import annotations

import gzip
import re

import pytest

from cliplab.datasets.words import SHIPPED, prompts_of
from cliplab.nouns import Prompts, Task


def shipped_tasks() -> list[tuple[str, Task]]:
    from cliplab.datasets import domainnet, oxford, paris, wikiart, wikiart_artists

    tasks = [(name, task) for name in ("domainnet", *domainnet.parts("domainnet"))
             for task in domainnet.tasks().values()]  # fmt: skip
    for module in (paris, oxford):
        words, landmarks = module.BUILDINGS.word_names, module.BUILDINGS.landmark_names
        tasks.append((module.NAME, Task("query_word", words)))
        tasks.append((module.NAME, Task("landmark", landmarks)))
    tasks.append(("quickdraw", domainnet.tasks()["label"]))  # the same classes
    tasks += [("wikiart", task) for task in wikiart.tasks().values()]
    tasks.append(("wikiart/artist195", Task("style13", wikiart_artists.STYLES)))
    return tasks


TASKS = shipped_tasks()


@pytest.mark.parametrize(("name", "task"), TASKS, ids=lambda v: getattr(v, "name", v))
def test_each_class_has_several_captions_of_its_own(name, task, home):
    prompts = prompts_of(name, task, home)
    assert isinstance(prompts, Prompts)
    texts = [prompts.texts(class_name) for class_name in task.class_names]
    assert min(map(len, texts)) >= 3
    assert len({frozenset(of_class) for of_class in texts}) == len(task.class_names)
    said = [text for of_class in texts for text in of_class]
    assert not [text for text in said if re.search(r"[{}_]|  | a [aeio]|\ban? (an?|the)\b", text)]


def test_no_shipped_file_names_what_is_no_class(shared_data):
    """A name that fits no class would silently serve nothing."""
    from cliplab.datasets import wikiart_artists
    from cliplab.datasets.wikiart_lists import repaired
    from cliplab.datasets.words import _alike, read_texts, read_words

    known = {_alike(name) for _name, task in TASKS for name in task.class_names}
    with gzip.open(shared_data / "wikiart" / "style_train.csv.gz", "rt", encoding="utf-8") as lines:
        slugs = {wikiart_artists.artist_of(repaired(line)) for line in lines}
    known |= {_alike(wikiart_artists.in_words(slug)) for slug in slugs}
    known.add("art nouveau modern")  # as its folder is called
    for path in SHIPPED.rglob("*.*"):
        read = {"words.txt": read_words, "json": read_texts}
        kind = next((kind for kind in read if path.name.endswith(kind)), None)
        if kind:
            assert not [name for name in read[kind](path) if _alike(name) not in known], path


def test_every_shipped_file_serves_a_task():
    stems = {f"{name}.{task.name}" for name, task in TASKS} | {"wikiart/artist195.artist195"}
    for path in SHIPPED.rglob("*.*"):
        stem = path.relative_to(SHIPPED).as_posix()
        stem = stem.removesuffix(".words.txt").removesuffix(".txt").removesuffix(".json")
        assert stem in stems
