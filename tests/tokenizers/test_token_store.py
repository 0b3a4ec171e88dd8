"""Tokens on disk: those of encode, in parts, made once, resumed, read back by anyone."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.cli.conftest import make_photos
from tests.tiny_tokenizer import make_tokenizer

from cliplab.datasets.family import open_dataset
from cliplab.runtime.errors import DataError, FormatTooNew
from cliplab.tokenizers import token_store
from cliplab.tokenizers.opening import load_tokenizer
from cliplab.tokenizers.token_store import MANIFEST, read_tokens, tokenize_dataset


@pytest.fixture(scope="module")
def digits():
    return open_dataset("digits").dataset


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return load_tokenizer(make_tokenizer(tmp_path_factory.mktemp("tokenizer") / "t"))


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(token_store, "PART", 500)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".lock"}


def test_tokens_are_those_of_encode(digits, tokenizer, home):
    made = tokenize_dataset(digits, tokenizer, home=home)
    assert (made.n, made.n_made, made.n_skipped) == (1797, 1797, 0)
    assert made.folder.parent == home / "tokens"
    found = read_tokens(made.folder)
    assert len(found) == 1797
    assert np.array_equal(found.ids, digits.ids)
    assert np.array_equal(found.digests, digits.digests)
    assert np.array_equal(found.labels["digit"], digits.labels["digit"])
    assert np.array_equal(found.splits["digit"], digits.splits["digit"])
    assert found.class_names["digit"] == digits.task().class_names
    assert found.tokens.dtype == np.uint16
    pixels = digits.source.pixels(np.arange(1797))[:, None]
    assert np.array_equal(found.tokens, tokenizer.encode(pixels))
    assert found.codes == 64
    assert found.identity == tokenizer.identity


def test_another_tool_reads_them(digits, tokenizer, home):
    folder = tokenize_dataset(digits, tokenizer, home=home).folder
    files = sorted(folder.glob("*.parquet"))
    assert [path.name for path in files] == [f"part-0000{n}-of-00004.parquet" for n in range(4)]
    table = pq.read_table(files[3])
    assert table.column_names == ["id", "digest", "digit", "split_digit", "tokens"]
    assert str(table.schema.field("tokens").type) == "list<element: uint16>"
    about = table.schema.metadata
    assert json.loads(about[b"grid"]) == [4, 4]
    assert (about[b"codes"], about[b"format_version"]) == (b"64", b"1")
    assert json.loads(about[b"identity"]) == tokenizer.identity


@pytest.mark.parametrize("after", [1, 6, 17])
def test_cut_off_it_makes_only_what_is_missing(digits, tokenizer, home, monkeypatch, after):
    whole = contents(tokenize_dataset(digits, tokenizer, home=home / "whole").folder)
    calls, real = [], type(tokenizer).encode

    def encode(self, pixels):
        calls.append(len(pixels))
        if len(calls) == after:
            raise KeyboardInterrupt
        return real(self, pixels)

    monkeypatch.setattr(type(tokenizer), "encode", encode)
    with pytest.raises(KeyboardInterrupt):
        tokenize_dataset(digits, tokenizer, home=home)
    (folder,) = (path for path in (home / "tokens").iterdir() if path.is_dir())
    there = len(list(folder.glob("*.parquet")))
    if there < 4:
        with pytest.raises(DataError, match=r"was cut off.*makes only what is missing"):
            read_tokens(folder)
    made = tokenize_dataset(digits, tokenizer, home=home)
    assert made.n_made == 1797 - 500 * there
    assert contents(made.folder) == whole
    assert tokenize_dataset(digits, tokenizer, home=home).n_made == 0


def test_a_damaged_part_is_made_again(digits, tokenizer, home, capsys):
    folder = tokenize_dataset(digits, tokenizer, home=home).folder
    whole, path = contents(folder), folder / "part-00002-of-00004.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"part-00002-of-00004\.parquet is damaged"):
        read_tokens(folder)
    assert tokenize_dataset(digits, tokenizer, home=home).n_made == 500
    assert "is made again" in capsys.readouterr().err
    assert contents(folder) == whole


def test_a_changed_byte_is_noticed(digits, tokenizer, home):
    folder = tokenize_dataset(digits, tokenizer, home=home).folder
    path = folder / "part-00000-of-00004.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 255
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        read_tokens(folder)


def test_what_changes_the_tokens_changes_the_folder(digits, tokenizer, home, tmp_path):
    other = load_tokenizer(make_tokenizer(tmp_path / "t", seed=1))
    larger = load_tokenizer(make_tokenizer(tmp_path / "t2"), size=16)
    fewer = dataclasses.replace(digits, labels={"digit": (digits.labels["digit"] + 1) % 10})
    folders = {
        tokenize_dataset(*call, home=home).folder
        for call in ((digits, tokenizer), (digits, other), (digits, larger), (fewer, tokenizer))
    }
    assert len(folders) == 4


def test_files_without_digests_are_known_by_size_and_time(tokenizer, home, tmp_path):
    path, blank = tmp_path / "drawings.npz", np.zeros((5, 8, 8), dtype=np.uint8)
    np.savez(path, cat=blank, dog=blank)
    first = tokenize_dataset(open_dataset(path).dataset, tokenizer, home=home)
    np.savez(path, cat=blank, dog=blank + 99)
    second = tokenize_dataset(open_dataset(path).dataset, tokenizer, home=home)
    assert first.folder != second.folder


def test_unreadable_pictures_are_listed_again_and_again(tokenizer, home, tmp_path):
    photos = make_photos(tmp_path / "photos", n=4)
    (photos / "red" / "bad.png").write_bytes(b"<html>")
    data = open_dataset(photos).dataset
    for _ in range(2):
        made = tokenize_dataset(data, tokenizer, home=home)
        assert (made.n, made.n_skipped) == (12, 1)
        assert made.skipped[0].id == "red/bad.png"
    assert "red/bad.png" not in read_tokens(made.folder).ids
    with pytest.raises(DataError, match=r"red/bad\.png cannot be read"):
        tokenize_dataset(data, tokenizer, home=home, on_bad="fail")


def test_nothing_readable_is_said(tokenizer, home, tmp_path):
    for name in ("red", "green"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        (tmp_path / "photos" / name / "bad.png").write_bytes(b"<html>")
    with pytest.raises(DataError, match=r"None of the 2 pictures.*bad\.png"):
        tokenize_dataset(open_dataset(tmp_path / "photos").dataset, tokenizer, home=home)


def test_other_folders_are_refused(digits, tokenizer, home, tmp_path):
    with pytest.raises(DataError, match="holds no tokens; `cliplab tokenize"):
        read_tokens(tmp_path)
    folder = tokenize_dataset(digits, tokenizer, home=home).folder
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**manifest, "format_version": 99}))
    with pytest.raises(FormatTooNew, match="99"):
        read_tokens(folder)
