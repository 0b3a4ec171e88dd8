"""An encoder cut down to be shipped reads the words that it knows as before."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cliplab.encoders import trained
from cliplab.encoders.architecture import build, read_architecture
from cliplab.encoders.open_clip import load_encoder
from cliplab.encoders.token_table import pruned_state, with_whole_table
from cliplab.runtime.errors import DataError

TEXTS = ["a red square", "a green square.", "something blue", "a child's drawing"]


@pytest.fixture(scope="module")
def made():
    return build(read_architecture("tiny"), seed=0)


@pytest.fixture(scope="module")
def tokens(made):
    return sorted(set(made.tokenize(TEXTS).flatten().tolist()))


@pytest.fixture
def folders(made, tokens, tmp_path):
    """The same encoder as it was trained, and as it is shipped."""
    architecture = read_architecture("tiny")
    for name, how in (("whole", {}), ("shipped", {"prune": True, "half": True})):
        trained.save_trained(
            tmp_path / name,
            made.model.state_dict(),
            architecture.model_cfg,
            architecture.preprocess_cfg,
            {},
            tokens=tokens,
            **how,
        )
    return tmp_path / "whole", tmp_path / "shipped"


def test_known_words_are_read_as_before(folders):
    whole, shipped = (load_encoder(folder, device="cpu") for folder in folders)
    expected, found = whole.encode_texts(TEXTS), shipped.encode_texts(TEXTS)
    np.testing.assert_allclose(found, expected, rtol=0, atol=4e-3 * np.abs(expected).max())
    assert found.dtype == np.float32
    assert shipped.logit_scale == whole.logit_scale


def test_it_takes_little_room(folders):
    whole, shipped = ((folder / trained.WEIGHTS).stat().st_size for folder in folders)
    assert shipped < whole / 15


def test_matrices_are_half_on_disk_and_whole_in_use(folders):
    stored = load_file(folders[1] / trained.WEIGHTS)
    assert {value.dtype for value in stored.values() if value.ndim >= 2} == {torch.float16}
    assert {value.dtype for value in stored.values() if value.ndim < 2} == {torch.float32}
    model = load_encoder(folders[1], device="cpu")._model
    assert {value.dtype for value in model.parameters()} == {torch.float32}


def test_rows_out_of_use_are_zeros(folders, tokens):
    table = load_encoder(folders[1], device="cpu")._model.token_embedding.weight.detach()
    used = torch.zeros(len(table), dtype=torch.bool)
    used[tokens] = True
    assert (table[~used] == 0).all()
    assert (table[used] != 0).any(dim=1).all()


def test_the_format_is_told(folders):
    versions = [json.loads((f / trained.NOTES).read_text())["format_version"] for f in folders]
    assert versions == [trained.WHOLE, trained.PRUNED]


@pytest.mark.parametrize("place", [0, 1])
def test_unknown_words_are_told(folders, place):
    encoder = load_encoder(folders[place], device="cpu")
    assert encoder.unknown_words("A RED child's square!") == ()
    assert encoder.unknown_words("a red unicycle, a zebra; a unicycle") == ("unicycle", "zebra")
    assert encoder.unknown_words("") == encoder.unknown_words("?!") == ()


def test_a_published_encoder_is_taken_to_know_every_word(tiny_folder):
    assert load_encoder(tiny_folder("vit"), device="cpu").unknown_words("a zebra") == ()


def test_pruning_and_back(made, tokens):
    state = made.model.state_dict()
    pruned = pruned_state(state, tokens)
    assert len(pruned["token_embedding.weight"]) == len(tokens)
    back = with_whole_table(pruned, tokens, made.model)
    assert {name: value.shape for name, value in back.items()} == {
        name: value.shape for name, value in state.items()
    }
    assert torch.equal(pruned_state(back, tokens)["token_embedding.weight"], pruned[TABLE])
    assert with_whole_table(state, tokens, made.model)[TABLE] is state[TABLE]


TABLE = "token_embedding.weight"


def test_a_row_outside_the_vocabulary_is_refused(made, tokens):
    beyond = [*tokens[:-1], 49_408]
    with pytest.raises(DataError, match=r"row for token 49408.*has 49,408"):
        with_whole_table(pruned_state(made.model.state_dict(), tokens), beyond, made.model)


def test_a_file_cut_short_is_refused(folders):
    path = folders[1] / trained.WEIGHTS
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="not whole safetensors"):
        load_encoder(folders[1], device="cpu")


def test_metadata_of_another_kind_is_refused(folders):
    path = folders[1] / trained.WEIGHTS
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    header["__metadata__"]["cliplab"] = '{"tokens": "many"}'
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + length :])
    with pytest.raises(DataError, match="not whole safetensors"):
        load_encoder(folders[1], device="cpu")
