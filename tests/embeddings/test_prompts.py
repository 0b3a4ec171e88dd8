"""The precedence rule of prompts, the named ensembles, and every form of file."""

from __future__ import annotations

import json

import pytest

from cliplab.embeddings.prompts import named_prompts, prompts_from_file, resolve_prompts
from cliplab.nouns import Prompts, Task
from cliplab.runtime.errors import UnknownName, UsageError

OWN = Prompts("data set", ("a sketch of a {}.",))
TASK = Task("label", ("cat", "dog"), OWN)
PLAIN = Task("label", ("cat", "dog"))


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return str(path)


def test_what_the_call_gives_beats_the_data_set_which_beats_simple(tmp_path):
    file = write(tmp_path / "own.txt", "from a file: {}")
    assert resolve_prompts(["my {}"], None, TASK, "x").texts("cat") == ("my cat",)
    assert resolve_prompts([], file, TASK, "x").texts("cat") == ("from a file: cat",)
    assert resolve_prompts([], "simple", TASK, "x").texts("cat") == ("a photo of a cat.",)
    assert resolve_prompts([], None, TASK, "x") is OWN
    assert resolve_prompts([], None, PLAIN, "x").texts("cat") == ("a photo of a cat.",)


def test_both_options_are_refused():
    with pytest.raises(UsageError, match="Both --prompt and --prompts"):
        resolve_prompts(["my {}"], "simple", TASK, "x")


def test_named_ensembles_are_those_of_open_clip():
    import open_clip

    for name, count, published in (
        ("openai-7", 7, open_clip.SIMPLE_IMAGENET_TEMPLATES),
        ("openai-80", 80, open_clip.OPENAI_IMAGENET_TEMPLATES),
    ):
        prompts = named_prompts(name)
        assert len(prompts.templates) == count
        assert prompts.texts("red {fox}") == tuple(fill("red {fox}") for fill in published)


def test_unknown_name_tells_the_closest():
    with pytest.raises(UnknownName, match="Did you mean 'openai-80'"):
        resolve_prompts([], "openai80", TASK, "x")
    with pytest.raises(UnknownName, match="openai-7"):
        named_prompts("openai-8")


def test_missing_file_is_told_as_a_file(tmp_path):
    with pytest.raises(UsageError, match=r"nowhere\.txt: that file is not there"):
        resolve_prompts([], "nowhere.txt", TASK, "x")
    with pytest.raises(UsageError, match="a folder, not a file"):
        resolve_prompts([], str(tmp_path), TASK, "x")


def test_template_without_a_place_for_the_class_is_refused(tmp_path):
    with pytest.raises(
        UsageError, match=r"'a cat' has no place for the class name.*--prompts FILE"
    ):
        resolve_prompts(["a cat"], None, TASK, "x")
    with pytest.raises(UsageError, match="no place for the class name"):
        resolve_prompts([], write(tmp_path / "p.json", ["a {}", "a photo"]), TASK, "x")


def test_text_file_leaves_out_comments_and_empty_lines(tmp_path):
    file = write(tmp_path / "p.txt", "\ufeff# mine\n\n a {} .\nthe {c}\n")
    prompts = resolve_prompts([], file, TASK, "x")
    assert prompts == Prompts(file, ("a {} .", "the {c}"))
    with pytest.raises(UsageError, match="holds no templates"):
        resolve_prompts([], write(tmp_path / "empty.txt", "# nothing\n"), TASK, "x")


def test_json_list_and_json_by_class(tmp_path):
    listed = resolve_prompts([], write(tmp_path / "list.json", ["a {}", "the {}"]), TASK, "x")
    assert listed.texts("dog") == ("a dog", "the dog")
    by_class = {"cat": ["purrs", "a {} asleep"], "dog": "barks", "eel": ["swims"]}
    prompts = resolve_prompts([], write(tmp_path / "by.json", by_class), TASK, "x")
    assert prompts.texts("cat") == ("purrs", "a cat asleep")
    assert prompts.texts("dog") == ("barks",)
    assert set(prompts.per_class) == {"cat", "dog"}


def test_by_class_has_to_name_every_class(tmp_path):
    file = write(tmp_path / "by.json", {"cat": ["purrs"], "dogs": ["bark"]})
    with pytest.raises(UsageError, match=r"no texts for 'dog' \(the file has 'dogs'\)"):
        resolve_prompts([], file, TASK, "x")
    wrong = write(tmp_path / "wrong.json", {"cat": ["purrs"], "dog": 3})
    with pytest.raises(UsageError, match="the entry of 'dog' is not a text"):
        resolve_prompts([], wrong, TASK, "x")


@pytest.mark.parametrize("name", ["pets", "Pets/", "hf:owner/pets", "catalogue/pets"])
def test_clip_benchmark_files_are_picked_by_data_set(tmp_path, name):
    templates = tmp_path / "templates.json"
    write(templates, {"cars": ["a car {c}"], "pets": ["a pet {c}.", "{c}"]})
    assert prompts_from_file(templates, ("cat",), name).texts("cat") == ("a pet cat.", "cat")
    by_class = tmp_path / "cupl.json"
    write(by_class, {"cars": {"audi": ["x"]}, "pets": {"cat": ["it purrs"]}})
    assert prompts_from_file(by_class, ("cat",), name).texts("cat") == ("it purrs",)


def test_only_entry_serves_any_data_set_and_none_of_several_is_guessed(tmp_path):
    file = tmp_path / "p.json"
    write(file, {"imagenet1k": {"cat": ["it purrs"], "dog": ["it barks"]}})
    assert prompts_from_file(file, ("dog",), "photos/").texts("dog") == ("it barks",)
    write(file, {"cars": ["a {c}"], "pets": ["a {c}"]})
    with pytest.raises(UsageError, match=r"no entry for the data set 'photos/'.*cars, pets"):
        prompts_from_file(file, ("dog",), "photos/")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('["a {}"', "not valid JSON"),
        ('{"cat": "x", "cat": "y"}', "'cat' stands twice"),
        ("3", "holds no prompts"),
        ("[3]", "holds no prompts"),
        ("{}", "no entry"),
        (b"\xff\xfe\x00".decode("latin-1"), "not valid JSON"),
    ],
)
def test_bad_files_say_what_is_wrong(tmp_path, content, message):
    with pytest.raises(UsageError, match=message):
        prompts_from_file_of(tmp_path, content)


def prompts_from_file_of(folder, content):
    file = folder / "p.json"
    file.write_text(content, "utf-8")
    return prompts_from_file(file, ("cat",), "photos")


def test_file_in_another_encoding_is_named(tmp_path):
    file = tmp_path / "p.txt"
    file.write_bytes("a café {}".encode("latin-1"))
    with pytest.raises(UsageError, match="not UTF-8"):
        prompts_from_file(file, ("cat",), "photos")
