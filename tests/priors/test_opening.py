"""Priors, tokenizers and encoders by the names that a user gives them."""

from __future__ import annotations

import pytest
from tests.tiny_artist import make_weights

import cliplab
from cliplab.priors.opening import load_prior
from cliplab.runtime import shipped
from cliplab.runtime.errors import DataError, MissingWeights, UnknownName, UsageError


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return make_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture
def installed(weights, monkeypatch):
    monkeypatch.setattr(shipped, "WEIGHTS", weights.root)
    return weights


def test_what_comes_with_cliplab_is_called_quickdraw(installed):
    assert cliplab.load_tokenizer("quickdraw").name == "quickdraw"
    assert cliplab.load_encoder("quickdraw", device="cpu").name == "quickdraw"
    prior = cliplab.load_prior("quickdraw")
    assert (prior.name, prior.sizes.decoder) == ("quickdraw", "autoregressive")
    assert load_prior().digest == prior.digest
    masked = load_prior("quickdraw", decoder="masked")
    assert masked.sizes.decoder == "masked"
    assert masked.digest != prior.digest


def test_a_folder_of_that_name_comes_first(installed, tmp_path, monkeypatch):
    other = make_weights(tmp_path, seed=1)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quickdraw").symlink_to(other.prior)
    assert load_prior("quickdraw").digest == load_prior(other.prior).digest
    assert load_prior("quickdraw").digest != load_prior(shipped.shipped("prior")).digest


def test_an_installation_without_weights_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(shipped, "WEIGHTS", tmp_path / "none")
    for load in (cliplab.load_prior, cliplab.load_tokenizer, cliplab.load_encoder):
        with pytest.raises(MissingWeights, match="this installation lacks its"):
            load("quickdraw")


def test_unknown_names(installed, weights):
    with pytest.raises(UnknownName, match=r"Unknown prior 'quickdrw'.*Did you mean 'quickdraw'"):
        load_prior("quickdrw")
    with pytest.raises(UnknownName, match="Unknown decoder 'mask'"):
        load_prior(decoder="mask")
    with pytest.raises(UsageError, match="is autoregressive, and --decoder masked was asked for"):
        load_prior(weights.prior, decoder="masked")
    assert load_prior(weights.masked, decoder="masked").sizes.decoder == "masked"


def test_a_folder_that_holds_no_whole_prior(tmp_path):
    with pytest.raises(DataError, match="holds no whole prior"):
        load_prior(tmp_path)


def test_weights_that_were_cut_off(tmp_path):
    places = make_weights(tmp_path)
    file = places.prior / "prior.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"prior\.safetensors is no whole file of tensors"):
        load_prior(places.prior)
