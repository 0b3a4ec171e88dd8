"""Prompts of data sets in files: which file counts, what it may hold, and those that ship."""

from __future__ import annotations

from pathlib import Path

import pytest

from cliplab.datasets.family import open_dataset
from cliplab.datasets.words import prompts_of
from cliplab.nouns import Task
from cliplab.runtime.errors import UsageError

PETS = Task("kind", ("cat", "sea_horse", "other"))


def write(home: Path, name: str, text: str) -> Path:
    path = home / "prompts" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_without_files_there_are_no_prompts(home):
    assert prompts_of("pets", PETS, home) is None


def test_templates_words_and_texts_come_together(home):
    files = [
        write(home, "pets.kind.txt", "# templates\na photo of {}.\n{} at home.\n"),
        write(home, "pets.kind.words.txt", "Sea horse\ta sea horse, the fish\n"),
        write(home, "pets.kind.json", '{"other": ["a photo of a street.", "no {} at all."]}'),
    ]
    prompts = prompts_of("pets", PETS, home)
    assert prompts.name == ", ".join(map(str, files))
    assert prompts.texts("cat") == ("a photo of cat.", "cat at home.")
    assert prompts.texts("sea_horse") == (
        "a photo of a sea horse, the fish.",
        "a sea horse, the fish at home.",
    )
    assert prompts.texts("other") == ("a photo of a street.", "no other at all.")


def test_words_alone_go_into_the_plainest_template(home):
    write(home, "pets.kind.words.txt", "cat\ta cat\n")
    assert prompts_of("pets", PETS, home).texts("cat") == ("a photo of a cat.",)


def test_the_nearer_name_comes_first_and_the_farther_serves_the_rest(home):
    write(home, "pets.kind.txt", "any {}\n")
    write(home, "pets/drawn.kind.txt", "a drawn {}\n")
    write(home, "pets.kind.words.txt", "cat\ta cat\nsnake\ta snake, which is no class here\n")
    assert prompts_of("pets/drawn", PETS, home).texts("cat") == ("a drawn a cat",)
    assert prompts_of("pets/painted", PETS, home).texts("cat") == ("any a cat",)
    assert prompts_of("pets/drawn", Task("breed", ("cat",)), home) is None


def test_the_users_file_comes_before_the_shipped_one_of_its_kind(home):
    task = Task("label", ("airplane", "The Mona Lisa"))
    shipped = prompts_of("domainnet/clipart", task, home)
    assert shipped.name == "data set"
    assert shipped.texts("The Mona Lisa")[0] == "a clipart of the Mona Lisa."
    mine = write(home, "domainnet.label.txt", "my {}\n")
    prompts = prompts_of("domainnet/clipart", task, home)
    assert prompts.name == str(mine)
    assert prompts.texts("airplane") == ("my an airplane",)  # words still the shipped ones


def test_what_is_opened_by_name_has_the_prompts_of_the_files(home):
    dataset, task = open_dataset("digits")
    assert dataset.task(task).prompts.texts("two")[0] == "the digit two"
    write(home, "digits.digit.txt", "number {}\n")
    dataset, task = open_dataset("digits:digit")
    assert dataset.task(task).prompts.texts("two") == ("number two",)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("pets.kind.txt", "a photo of a cat\n", "has no place for the class name"),
        ("pets.kind.txt", "# nothing\n", "holds no templates"),
        ("pets.kind.words.txt", "cat a cat\n", "does not say how a class is called"),
        ("pets.kind.words.txt", "cats\ta cat\n", r"'cats' \(the task has 'cat'\)"),
        ("pets.kind.json", '["a {}"]', r"expected .*|texts by class, found list"),
        ("pets.kind.json", '{"cat": "a cat"}', "the entry of 'cat' is not a list of texts"),
        ("pets.kind.json", '{"cat": []}', "the entry of 'cat' is not a list of texts"),
        ("pets.kind.json", '{"dogs": ["a dog"]}', "names what is no class of task 'kind': 'dogs'"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_by_name(home, name, text, message):
    path = write(home, name, text)
    with pytest.raises(UsageError, match=message) as error:
        prompts_of("pets", PETS, home)
    assert str(path) in str(error.value)
