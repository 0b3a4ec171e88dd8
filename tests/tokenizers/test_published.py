"""OpenAI's files, in the layouts that they may have, become a tokenizer; nothing else does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.dalle_files import write_published
from tests.tokenizers.original import drawn, run, shapes

from cliplab.nouns import ImageTokenizer
from cliplab.runtime.errors import DataError, DownloadFailed, UnknownName, UsageError
from cliplab.runtime.patience import Patience
from cliplab.tokenizers.opening import load_tokenizer
from cliplab.tokenizers.published import fetch_published, is_published

LAYOUTS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before 1.6"])
AT_ONCE = Patience(attempts=1, sleep=lambda _seconds: None)


@pytest.fixture(scope="module")
def states():
    encoder = drawn(shapes(3, (16, 16, 32, 64, 128), 64, (3, 3, 3, 1), 7), 0)
    decoder = drawn(shapes(64, (8, 128, 64, 32, 16), 6, (1, 3, 3, 3), 1), 1)
    return encoder, decoder


@pytest.fixture
def files(tmp_path, states):
    write_published(tmp_path / "openai", *states, zipped=True)
    return tmp_path / "openai"


@LAYOUTS
def test_tokens_and_pictures_are_those_of_the_originals(tmp_path, states, zipped):
    write_published(tmp_path, *states, zipped=zipped)
    found = load_tokenizer(tmp_path, size=32)
    assert isinstance(found, ImageTokenizer)
    assert (found.shape, found.grid, found.codes) == ((3, 32, 32), (4, 4), 64)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32), dtype=np.uint8)
    x = 0.8 * torch.from_numpy(pixels).float() / 255 + 0.1
    tokens = run(states[0], x, pooled=True).argmax(1)
    np.testing.assert_array_equal(found.encode(pixels), tokens.numpy())
    one_hot = torch.nn.functional.one_hot(tokens, 64).permute(0, 3, 1, 2).float()
    said = torch.sigmoid(run(states[1], one_hot, pooled=False)[:, :3])
    expected = ((said - 0.1) / 0.8).clamp(0, 1).mul(255).round()
    difference = found.decode(tokens.numpy()).astype(int) - expected.numpy()
    assert np.abs(difference).max() <= 1  # a value half-way between two may round either way
    assert (difference != 0).mean() < 1e-3


def test_the_size_is_theirs_unless_another_is_given(files):
    found = load_tokenizer(files)
    assert found.shape == (3, 256, 256)
    assert found.recipe.objective == "logit_laplace"
    assert load_tokenizer(files, size=64).identity != found.identity
    with pytest.raises(UsageError, match="take 32x32"):
        load_tokenizer(files, size=30)


def test_the_digest_is_that_of_both_files(tmp_path, files, states):
    decoder = drawn({name: tuple(tensor.shape) for name, tensor in states[1].items()}, 7)
    write_published(tmp_path / "other", states[0], decoder, zipped=True)
    assert load_tokenizer(files).digest != load_tokenizer(tmp_path / "other").digest


def test_files_that_are_here_are_not_fetched(home, files, states):
    write_published(home / "tokenizers" / "openai", *states, zipped=False)
    assert load_tokenizer("openai").digest == load_tokenizer("openai", home=home).digest
    assert load_tokenizer("openai").name == "openai"


def test_files_are_fetched_once(web, home, files):
    for name in ("encoder.pkl", "decoder.pkl"):
        place = web.put(name, (files / name).read_bytes()).removesuffix(name)
    folder = fetch_published(home, place=place)
    assert is_published(folder)
    assert fetch_published(home, place="nowhere") == folder
    assert len(web.requests) == 2


def test_without_a_network_it_says_what_to_do(web, home):
    place = web.put("none", b"").removesuffix("none")
    with pytest.raises(
        DownloadFailed, match=r"encoder\.pkl and .*decoder\.pkl.*--tokenizer FOLDER"
    ):
        fetch_published(home, patience=AT_ONCE, place=place)


def test_a_truncated_file_is_refused(files):
    content = (files / "decoder.pkl").read_bytes()
    (files / "decoder.pkl").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"decoder\.pkl is no whole module.*Download it again"):
        load_tokenizer(files)


def test_files_that_were_swapped_are_refused(files):
    (files / "encoder.pkl").rename(files / "kept")
    (files / "decoder.pkl").rename(files / "encoder.pkl")
    (files / "kept").rename(files / "decoder.pkl")
    with pytest.raises(DataError, match="may be swapped"):
        load_tokenizer(files)


def test_an_unknown_name_and_an_empty_folder(tmp_path):
    with pytest.raises(UnknownName, match="Did you mean 'openai'"):
        load_tokenizer("opnai")
    with pytest.raises(DataError, match="holds no whole tokenizer"):
        load_tokenizer(tmp_path)
