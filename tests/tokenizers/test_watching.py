"""What TensorBoard shows of a tokenizer in training."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from cliplab.datasets.family import open_dataset
from cliplab.nouns import TRAIN
from cliplab.tokenizers import training
from cliplab.tokenizers.config import TokenizerConfig, resolve
from cliplab.tokenizers.training import train_tokenizer
from cliplab.tokenizers.watching import SHOWN, shown_pictures
from cliplab.training.watching import FOLDER

QUICK = TokenizerConfig(
    size=8, groups=2, width=8, codes=16, steps=4, batch_size=16, device="cpu", memory="8GiB"
)


@pytest.fixture(scope="module")
def digits():
    return open_dataset("digits").dataset


def test_numbers_and_pictures_of_a_training_are_there(digits, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train_tokenizer(digits, QUICK, tmp_path)
    events = EventAccumulator(str(tmp_path / FOLDER), size_guidance={"images": 0}).Reload()
    assert {"loss", "distance", "penalty", "temperature", "codes_used", "memory"} <= set(
        events.Tags()["scalars"]
    )
    grids = events.Images("pictures")
    assert [one.step for one in grids] == [1, 2, 3, 4]
    assert (grids[0].height, grids[0].width) == (2 * 10 + 2, SHOWN * 10 + 2)
    assert len({one.encoded_image_string for one in grids}) > 1  # it learns


def test_watching_changes_no_weight(digits, tmp_path, monkeypatch):
    watched = train_tokenizer(digits, QUICK, tmp_path / "a") / "tokenizer.safetensors"
    monkeypatch.setattr(training, "each", lambda health, _watch: health)
    alone = train_tokenizer(digits, QUICK, tmp_path / "b") / "tokenizer.safetensors"
    assert watched.read_bytes() == alone.read_bytes()


def test_pictures_shown_are_held_out_where_there_are_some(digits):
    splits = digits.splits["digit"]
    rows = np.flatnonzero(splits == TRAIN)
    recipe = resolve(QUICK, 8, True)
    shown = shown_pictures(digits, rows, splits, recipe)
    assert shown.shape == (SHOWN, 1, 8, 8)
    held_out = shown_pictures(digits, np.flatnonzero(splits != TRAIN), splits, recipe)
    assert (shown == held_out).all()
    everything = np.full(len(splits), TRAIN, dtype=object)
    trained = shown_pictures(digits, rows[:3], everything, dataclasses.replace(recipe, channels=3))
    assert trained.shape == (3, 3, 8, 8)
