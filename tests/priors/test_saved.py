"""A prior's folder: written, read, shipped in half, and refused where it is not whole."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.tiny_prior import make_prior
from tests.tiny_tokenizer import make_tokenizer

from cliplab.priors.saved import ABOUT, WEIGHTS, is_prior, read_prior, refuse_misfit
from cliplab.runtime.errors import DataError, FormatTooNew, UnknownName, UsageError
from cliplab.tokenizers.opening import load_tokenizer

CONDITIONS = np.eye(3, dtype=np.float32)


def test_half_the_bytes_say_nearly_the_same(tmp_path):
    whole = read_prior(make_prior(tmp_path / "whole"))
    half = read_prior(make_prior(tmp_path / "half", half=True))
    sizes = [(tmp_path / name / WEIGHTS).stat().st_size for name in ("whole", "half")]
    assert sizes[1] < 0.6 * sizes[0]
    tokens = np.random.default_rng(0).integers(0, 16, (3, 3, 3))
    assert np.allclose(whole.bits(tokens, CONDITIONS), half.bits(tokens, CONDITIONS), rtol=0.01)
    assert half.identity["weights"] != whole.identity["weights"]


def test_reading_leaves_the_global_generator_alone(tmp_path):
    import torch

    folder = make_prior(tmp_path)
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    read_prior(folder)
    assert torch.equal(torch.rand(1), expected)


def test_weights_that_are_cut_short(tmp_path):
    folder = make_prior(tmp_path)
    path = folder / WEIGHTS
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="no whole file of tensors"):
        read_prior(folder)


def test_a_training_that_was_cut_off(tmp_path):
    folder = make_prior(tmp_path)
    (folder / WEIGHTS).unlink()
    assert not is_prior(folder)
    with pytest.raises(DataError, match=r"no whole prior.*`cliplab train prior` again"):
        read_prior(folder)


def changed(folder, **values):
    about = json.loads((folder / ABOUT).read_text())
    (folder / ABOUT).write_text(json.dumps({**about, **values}))


def test_a_folder_of_a_newer_cliplab(tmp_path):
    folder = make_prior(tmp_path)
    changed(folder, format_version=99)
    with pytest.raises(FormatTooNew, match="format version 99"):
        read_prior(folder)


def test_what_is_no_description(tmp_path):
    folder = make_prior(tmp_path)
    sizes = json.loads((folder / ABOUT).read_text())["sizes"]
    changed(folder, sizes={**sizes, "layers": 5})
    with pytest.raises(DataError, match=r"does not fit prior\.json"):
        read_prior(folder)
    changed(folder, sizes={**sizes, "heads": 3})
    with pytest.raises(DataError, match=r"no description of a prior .*multiple of 4"):
        read_prior(folder)
    changed(folder, sizes={"codes": 3})
    with pytest.raises(DataError, match="no description of a prior"):
        read_prior(folder)


def test_classes_are_asked_by_name(tmp_path):
    prior = read_prior(make_prior(tmp_path / "c"))
    assert np.array_equal(prior.of_classes(["b", "a"]), CONDITIONS[[1, 0]])
    with pytest.raises(UnknownName, match="Unknown class 'd'"):
        prior.of_classes(["d"])
    by_text = read_prior(make_prior(tmp_path / "t", condition="text"))
    with pytest.raises(UsageError, match="asked by text, not by class"):
        by_text.of_classes(["a"])


def test_a_tokenizer_that_is_not_its_own(tmp_path):
    one, other, small = (
        load_tokenizer(make_tokenizer(tmp_path / name, seed=seed, codes=codes))
        for name, seed, codes in (("one", 0, 64), ("other", 1, 64), ("small", 0, 16))
    )
    folder = make_prior(tmp_path / "p", codes=64, grid=(4, 4), tokenizer=one.identity)
    prior = read_prior(folder)
    refuse_misfit(prior, one)
    with pytest.raises(UsageError, match=r"64 codes; .*small reads \(4, 4\) of 16"):
        refuse_misfit(prior, small)
    with pytest.raises(UsageError, match=r"the tokens of another tokenizer than .*other"):
        refuse_misfit(prior, other)


def test_conditions_and_tokens_that_do_not_fit(tmp_path):
    prior = read_prior(make_prior(tmp_path))
    tokens = np.zeros((3, 3, 3), dtype=np.int64)
    with pytest.raises(UsageError, match=r"takes conditions \(B, 3\), found \(3, 2\)"):
        prior.bits(tokens, CONDITIONS[:, :2])
    for wrong in (tokens[:, :2], tokens - 1, tokens + 16):
        with pytest.raises(UsageError, match=r"takes grids of \(3, 3\) tokens in 0\.\.15"):
            prior.bits(wrong, CONDITIONS)
    with pytest.raises(UsageError, match=r"in -1\.\.15, found \(3, 3\) in -2\.\.-2"):
        prior.sample(CONDITIONS, seed=0, kept=tokens - 2)
