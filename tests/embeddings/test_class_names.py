"""Every form of the file of `--classes`, and what is refused."""

from __future__ import annotations

import json

import pytest

from cliplab.embeddings.class_names import resolve_class_names
from cliplab.nouns import Task
from cliplab.runtime.errors import UsageError

TASK = Task("label", ("n01", "n02", "n03"))
READABLE = ("tench", "great white shark", "hen, a bird")


def resolve(tmp_path, content, name="names.txt", task=TASK):
    file = tmp_path / name
    file.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return resolve_class_names(task, file, "pets")


def test_without_a_file_the_names_are_the_tasks_own():
    assert resolve_class_names(TASK, None, "pets") == TASK.class_names


@pytest.mark.parametrize(
    "lines",
    [
        "tench\ngreat white shark\nhen, a bird\n",
        "# in label order\n\ntench\n great white shark \nhen, a bird",
        'n03,"hen, a bird"\nn01,tench\nn02,great white shark',
        "code,name\nn03,hen, a bird\nn01,tench\nn02,great white shark\nn99,not here",
        "n03\then, a bird\nn01\ttench\nn02\tgreat white shark\nn99\tnot here",
        "n01 tench\nn02 great white shark\nn03 hen, a bird\nn99 not here",
    ],
)
def test_text_forms(tmp_path, lines):
    assert resolve(tmp_path, lines) == READABLE


def test_names_with_commas_stay_whole_when_no_code_is_meant(tmp_path):
    names = resolve(tmp_path, "tench, Tinca tinca\nhen, bird\ndog, pet\n")
    assert names == ("tench, Tinca tinca", "hen, bird", "dog, pet")


@pytest.mark.parametrize(
    "value",
    [
        list(READABLE),
        dict(zip(("n01", "n02", "n03"), READABLE, strict=True)),
        {"cars": ["audi"], "pets": list(READABLE)},
        {"imagenet1k": list(READABLE)},
    ],
)
def test_json_forms(tmp_path, value):
    assert resolve(tmp_path, value, "names.json") == READABLE


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("tench\nshark\n", "names.txt", "has 2 class names, task 'label' has 3 classes"),
        ("", "names.txt", "has 0 class names"),
        ("n01,tench\nn2,shark\nn03,hen", "names.txt", r"does not name 'n02' \(the file has 'n2'\)"),
        ("n01\ttench\n", "names.txt", "does not name 'n02', 'n03'"),
        ({"n01": "tench", "n02": "", "n03": "hen"}, "n.json", "empty name to 'n02'"),
        ([1, 2, 3], "n.json", "holds no class names"),
        ({"cars": ["a"], "dogs": ["b"]}, "n.json", "no entry for the data set 'pets'"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, content, name, message):
    with pytest.raises(UsageError, match=message):
        resolve(tmp_path, content, name)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match=r"none\.txt cannot be read: No such file"):
        resolve_class_names(TASK, tmp_path / "none.txt", "pets")


def test_a_name_given_twice_warns(tmp_path):
    with pytest.warns(UserWarning, match="'crane' name more than one class"):
        assert resolve(tmp_path, "crane\ncrane\nhen\n") == ("crane", "crane", "hen")
