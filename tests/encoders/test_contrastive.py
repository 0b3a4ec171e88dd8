"""Training a CLIP: what it is trained on, that it learns, that a kill changes nothing."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from cliplab.encoders.captions import caption_pictures
from cliplab.encoders.contrastive import ContrastiveConfig, train_clip
from cliplab.encoders.open_clip import load_encoder
from cliplab.encoders.pairs import batches_from, read_pictures, shifted
from cliplab.encoders.two_passes import CHECKPOINTED, ContrastiveGradient
from cliplab.nouns import TEST, TRAIN, Dataset, Prompts, Task
from cliplab.pictures.preprocessing import Preprocessing
from cliplab.runtime.errors import CliplabError, DataError, UsageError
from cliplab.training.memory import Plan, TooLittleMemory

QUICK = ContrastiveConfig(epochs=2, batch_size=32, device="cpu")


@pytest.fixture(autouse=True)
def one_thread():
    """One thread; a test may set another number."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Memory:
    def __init__(self, pictures):
        self.pictures = pictures

    def open(self, rows):
        for row in rows:
            yield lambda row=row: self.pictures[row]


def png(colour, seed):
    import io

    from PIL import Image

    pixels = np.random.default_rng(seed).normal(colour, 30, size=(12, 12, 3)).clip(0, 255)
    stream = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def colours() -> Dataset:
    """64 pictures, red and green in turn; the last sixteen are held out."""
    pictures = [png((200, 30, 30) if i % 2 == 0 else (30, 200, 30), i) for i in range(64)]
    labels = np.arange(64) % 2
    splits = np.array([TRAIN] * 48 + [TEST] * 16, dtype=object)
    task = Task("colour", ("red", "green"), Prompts("own", ("a {} square", "something {}")))
    return Dataset(
        name="colours",
        tasks={"colour": task},
        ids=np.array([f"{i:02}" for i in range(64)], dtype=object),
        labels={"colour": labels},
        splits={"colour": splits},
        digests=np.array([f"{i:064x}" for i in range(64)], dtype=object),
        source=Memory(pictures),
    )


def accuracy(folder, data) -> float:
    encoder = load_encoder(folder, device="cpu")
    rows = data.rows("colour", TEST)
    pictures = [read() for read in data.source.open(rows)]
    found = encoder.similarity(pictures, ["a red square", "a green square"]).argmax(axis=1)
    return float((found == data.labels["colour"][rows]).mean())


def test_it_learns_and_is_an_encoder_like_any_other(colours, tmp_path):
    config = dataclasses.replace(QUICK, epochs=12, batch_size=16)
    folder = train_clip(colours, config, tmp_path / "clip")
    assert accuracy(folder, colours) == 1.0
    notes = json.loads((folder / "cliplab.json").read_text())
    assert notes["n_train"] == 48
    assert notes["losses"][-1] < notes["losses"][0]
    assert not (folder / "checkpoint").exists()


def test_a_seed_gives_the_same_weights_and_another_others(colours, tmp_path):
    weights = [
        (train_clip(colours, dataclasses.replace(QUICK, seed=seed), tmp_path / name))
        .joinpath("open_clip_model.safetensors")
        .read_bytes()
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    ]
    assert weights[0] == weights[1]
    assert weights[0] != weights[2]


def test_a_finished_training_is_left_and_another_refused(colours, tmp_path, capsys):
    folder = train_clip(colours, QUICK, tmp_path / "clip")
    before = (folder / "open_clip_model.safetensors").stat().st_mtime_ns
    train_clip(colours, QUICK, folder)
    assert "finished" in capsys.readouterr().err
    assert (folder / "open_clip_model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(UsageError, match=r"epochs 2 there, 3 now"):
        train_clip(colours, dataclasses.replace(QUICK, epochs=3), folder)


def test_another_number_of_threads_is_no_other_training(colours, tmp_path, capsys):
    import torch

    folder = train_clip(colours, QUICK, tmp_path / "clip")
    torch.set_num_threads(2)
    train_clip(colours, QUICK, folder)
    assert "finished" in capsys.readouterr().err


def weights(folder):
    from safetensors.torch import load_file

    return load_file(folder / "open_clip_model.safetensors")


def planned(monkeypatch, plan):
    from cliplab.encoders import planning

    real = planning.plan_training

    def chosen(*args, **kwargs):
        return real(*args, **kwargs)._replace(plan=plan, keeps_pictures=False)

    monkeypatch.setattr(planning, "plan_training", chosen)


def test_every_plan_ends_in_the_same_weights(colours, tmp_path, monkeypatch, capsys):
    import torch

    whole = weights(train_clip(colours, QUICK, tmp_path / "whole"))
    for number, plan in enumerate((Plan(7), Plan(3, (CHECKPOINTED,)))):
        planned(monkeypatch, plan)
        folder = train_clip(colours, QUICK, tmp_path / str(number))
        assert f"at most {plan.micro_batch}" in capsys.readouterr().err
        assert json.loads((folder / "cliplab.json").read_text())["plan"] == plan.as_json()
        for name, value in weights(folder).items():
            torch.testing.assert_close(value, whole[name], rtol=2e-3, atol=2e-4)


def test_resumed_with_other_memory_it_keeps_its_plan(colours, tmp_path, monkeypatch, capsys):
    import cliplab.training.loop as loop

    real = loop.LoopConfig
    monkeypatch.setattr(loop, "LoopConfig", lambda **s: real(**s, checkpoint_seconds=0.0))
    often = dataclasses.replace(QUICK, batch_size=16)
    planned(monkeypatch, Plan(5))
    expected = weights(train_clip(colours, often, tmp_path / "whole"))
    _cut_off(monkeypatch, after=3)
    with pytest.raises(KeyboardInterrupt):
        train_clip(colours, often, tmp_path / "cut")
    monkeypatch.undo()
    capsys.readouterr()
    resumed = weights(train_clip(colours, often, tmp_path / "cut"))
    assert "plan that it was begun with: 5 pictures" in capsys.readouterr().err
    assert all((resumed[name] == expected[name]).all() for name in expected)


def _cut_off(monkeypatch, after):
    taken = []
    real = ContrastiveGradient.__call__

    def call(self, batch, step):
        taken.append(step)
        if len(taken) > after:
            raise KeyboardInterrupt
        return real(self, batch, step)

    monkeypatch.setattr(ContrastiveGradient, "__call__", call)


def test_too_little_memory_is_refused_before_a_picture_is_read(colours, tmp_path):
    unread = dataclasses.replace(colours, source=Memory({}))
    little = dataclasses.replace(QUICK, memory="50MiB")
    with pytest.raises(TooLittleMemory, match="Give --memory"):
        train_clip(unread, little, tmp_path / "clip")


def test_a_training_cut_off_before_its_last_file_writes_it(colours, tmp_path):
    folder = train_clip(colours, QUICK, tmp_path / "clip")
    weights = folder / "open_clip_model.safetensors"
    before = weights.read_bytes()
    weights.unlink()
    assert train_clip(colours, QUICK, folder).joinpath(weights.name).read_bytes() == before


def test_an_encoder_from_elsewhere_is_not_touched(colours, tmp_path):
    config = tmp_path / "open_clip_config.json"
    config.write_text('{"model_cfg": {}}')
    (tmp_path / "open_clip_pytorch_model.bin").write_bytes(b"weights")
    with pytest.raises(UsageError, match="not trained here"):
        train_clip(colours, QUICK, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        config.name,
        "open_clip_pytorch_model.bin",
    ]


def test_the_task_asked_for_is_trained_on(colours, tmp_path):
    shape = Task("shape", ("round", "square"), Prompts("own", ("{}",)))
    data = dataclasses.replace(
        colours,
        tasks={**colours.tasks, "shape": shape},
        labels={**colours.labels, "shape": np.roll(colours.labels["colour"], 1)},
        splits={**colours.splits, "shape": np.array([TRAIN] * 40 + [TEST] * 24, dtype=object)},
    )
    folder = train_clip(data, QUICK, tmp_path / "clip", task="shape")
    assert json.loads((folder / "cliplab.json").read_text())["n_train"] == 40
    with pytest.raises(UsageError, match="task shape there, colour now"):
        train_clip(data, QUICK, folder)


@pytest.mark.slow
def test_with_several_threads_too_it_is_the_same_each_time(colours, tmp_path):
    """Gradients of shared captions must not be added up in the order in which threads come."""
    import torch

    towers = {
        "embed_dim": 1024,
        "vision_cfg": {"image_size": 8, "layers": 1, "width": 8, "head_width": 8, "patch_size": 4},
        "text_cfg": {"context_length": 12, "width": 8, "heads": 1, "layers": 1},
    }
    (tmp_path / "wide.json").write_text(json.dumps(towers))
    config = dataclasses.replace(QUICK, model=str(tmp_path / "wide.json"), batch_size=48, epochs=8)
    torch.set_num_threads(2)
    folders = [train_clip(colours, config, tmp_path / str(i)) for i in range(3)]
    assert len({(f / "open_clip_model.safetensors").read_bytes() for f in folders}) == 1


def test_a_vocabulary_too_small_for_the_tokenizer_is_told(colours, tmp_path):
    towers = {
        "embed_dim": 8,
        "vision_cfg": {"image_size": 8, "layers": 1, "width": 8, "head_width": 8, "patch_size": 4},
        "text_cfg": {"context_length": 12, "vocab_size": 999, "width": 8, "heads": 1, "layers": 1},
    }
    (tmp_path / "own.json").write_text(json.dumps(towers))
    with pytest.raises(UsageError, match="vocab_size to 49408"):
        train_clip(
            colours, dataclasses.replace(QUICK, model=str(tmp_path / "own.json")), tmp_path / "clip"
        )


def test_captions_that_are_cut_off_are_counted(colours, tmp_path, capsys):
    long = dataclasses.replace(QUICK, prompt=("{} " + "and so on " * 20,), epochs=1)
    train_clip(colours, long, tmp_path / "clip")
    assert "2 of 2 captions fill the text tower's 24 tokens" in capsys.readouterr().err


def test_captions_of_the_data_set_are_trained_on(colours):
    told = [("rot",) if i % 2 == 0 else ("grün", "noch grüner") for i in range(64)]
    data = dataclasses.replace(colours, captions=told)
    task = data.task()
    assert set(caption_pictures(data, task, (TRAIN,)).texts) == {"rot", "grün", "noch grüner"}
    by_class = caption_pictures(data, task, (TRAIN,), captions="prompts")
    assert "a red square" in by_class.texts
    with pytest.raises(UsageError, match="no captions of its own"):
        caption_pictures(colours, task, (TRAIN,), captions="column")


def test_any_caption_of_a_class_may_be_right(colours, tmp_path):
    config = dataclasses.replace(QUICK, epochs=12, batch_size=16, targets="classes")
    folder = train_clip(colours, config, tmp_path / "clip")
    assert accuracy(folder, colours) == 1.0
    with pytest.raises(UsageError, match="targets classes there, pairs now"):
        train_clip(colours, dataclasses.replace(config, targets="pairs"), folder)
    told = dataclasses.replace(colours, captions=[("its own",), ("another",)] * 32)
    with pytest.raises(UsageError, match=r"--targets classes.*the data set's captions"):
        train_clip(told, config, tmp_path / "other")


def test_it_knows_the_words_of_its_captions(colours, tmp_path):
    encoder = load_encoder(train_clip(colours, QUICK, tmp_path / "clip"), device="cpu")
    assert encoder.unknown_words("something RED, a square") == ()
    assert encoder.unknown_words("a red circle") == ("circle",)


def test_a_batch_depends_on_its_number_alone(colours):
    captioned = caption_pictures(colours, colours.task(), (TRAIN,))
    preprocessing = Preprocessing(size=(16, 16))
    pairs = read_pictures(colours, captioned, preprocessing, keep=True, on_bad="list", workers=1)
    settings = {"batch_size": 16, "seed": 3, "shift": 2, "workers": 1}
    straight = batches_from(pairs, 0, **settings)
    fourth = [next(straight) for _ in range(4)][3]
    jumped = next(batches_from(pairs, 3, **settings))
    assert (fourth.pixels == jumped.pixels).all()
    assert (fourth.captions == jumped.captions).all()
    assert (fourth.classes == jumped.classes).all()
    said = [captioned.texts[k] for k in fourth.captions]
    assert ["red" in text for text in said] == [c == 0 for c in fourth.classes]
    streamed = pairs._replace(pixels=None)  # too many to keep: read batch by batch
    assert (next(batches_from(streamed, 3, **settings)).pixels == jumped.pixels).all()


def test_pixels_are_those_of_the_encoders_preprocessing(colours):
    from cliplab.pictures.decode import decode

    captioned = caption_pictures(colours, colours.task(), (TRAIN,))
    preprocessing = Preprocessing(size=(16, 16))
    pairs = read_pictures(colours, captioned, preprocessing, keep=True, on_bad="list", workers=1)
    batch = next(batches_from(pairs, 0, batch_size=48, seed=0, shift=0, workers=1))
    order = np.random.default_rng([0, 0, 0]).permutation(48)
    expected = preprocessing.transform()(decode(colours.source.pictures[order[0]]))
    assert np.abs(batch.pixels[0].numpy() - expected.numpy()).max() < 1e-6


def test_shifted_moves_whole_pictures():
    picture = np.arange(2 * 3 * 4 * 4, dtype=np.uint8).reshape(2, 3, 4, 4)
    assert (shifted(picture, 0, np.random.default_rng(0)) == picture).all()
    moved = shifted(picture, 1, np.random.default_rng(1))
    assert moved.shape == picture.shape
    assert set(moved[0, 0].ravel()) <= set(picture[0, 0].ravel())


def test_unreadable_pictures_are_left_out_or_fatal(colours, tmp_path):
    pictures = [b"<html>" if i == 4 else p for i, p in enumerate(colours.source.pictures)]
    data = dataclasses.replace(colours, source=Memory(pictures))
    folder = train_clip(data, QUICK, tmp_path / "clip")
    notes = json.loads((folder / "cliplab.json").read_text())
    assert (notes["n_train"], notes["skipped"][0]["id"]) == (47, "04")
    with pytest.raises(DataError, match="HTML"):
        train_clip(data, dataclasses.replace(QUICK, on_bad="fail"), tmp_path / "other")


@pytest.mark.parametrize(
    ("change", "words"),
    [({"epochs": 0}, "--epochs 0"), ({"lr": float("nan")}, "--lr"), ({"batch_size": 1}, "2 or"),
     ({"captions": "mine"}, "--captions"), ({"seed": -1}, "--seed"), ({"workers": 0}, "--workers"),
     ({"prompt": ("a square",)}, "class name goes"),
     ({"targets": "all"}, "--targets all: give pairs or classes"),
     ({"memory": "much"}, "--memory much"),
     ({"prompt": ("a {}",), "captions": "column"}, "exclude each other")],
)  # fmt: skip
def test_settings_that_cannot_be(change, words):
    with pytest.raises(UsageError, match=words):
        dataclasses.replace(QUICK, **change)


def test_what_cannot_be_trained(colours, tmp_path):
    with pytest.raises(DataError, match="--batch-size 48"):
        train_clip(colours, dataclasses.replace(QUICK, batch_size=49), tmp_path / "a")
    alone = dataclasses.replace(colours, labels={"colour": np.zeros(64, dtype=np.int64)})
    with pytest.raises(DataError, match="one class"):
        train_clip(alone, QUICK, tmp_path / "b")
    with pytest.raises(UsageError, match="Unknown model"):
        train_clip(colours, dataclasses.replace(QUICK, model="tinny"), tmp_path / "c")


def test_a_training_that_diverges_says_so(colours, tmp_path):
    wild = dataclasses.replace(QUICK, lr=1e30, epochs=6, warmup=0.0)
    with pytest.raises(CliplabError, match="diverged"):
        train_clip(colours, wild, tmp_path / "clip")


def test_a_configuration_file_is_trained(colours, tmp_path):
    towers = {
        "embed_dim": 8,
        "vision_cfg": {"image_size": 8, "layers": 1, "width": 16, "head_width": 8, "patch_size": 4},
        "text_cfg": {
            "context_length": 12,
            "vocab_size": 49408,
            "width": 8,
            "heads": 1,
            "layers": 1,
        },
        "init_logit_bias": -10.0,
        "custom_text": True,
    }
    (tmp_path / "own.json").write_text(json.dumps(towers))
    config = dataclasses.replace(QUICK, model=str(tmp_path / "own.json"))
    encoder = load_encoder(train_clip(colours, config, tmp_path / "clip"), device="cpu")
    assert (encoder.width, encoder.resolution) == (8, (8, 8))
    assert encoder.logit_bias != 0.0  # trained by SigLIP's loss


SCRIPT = """
import sys
from pathlib import Path
from cliplab.encoders.contrastive import ContrastiveConfig, train_clip
from cliplab.datasets.family import open_dataset
import cliplab.training.loop as loop
real = loop.LoopConfig
def often(**settings):
    return real(**settings, checkpoint_seconds=0.02)
loop.LoopConfig = often
import torch
torch.set_num_threads(1)
data, _ = open_dataset("digits")
train_clip(data, ContrastiveConfig(epochs=2, device="cpu"), Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_in_the_same_weights(tmp_path):
    def start(folder):
        return subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(folder)],
            env={**os.environ, "CLIPLAB_HOME": str(tmp_path / "home")},
            stderr=subprocess.PIPE,
        )

    whole = start(tmp_path / "whole")
    _, said = whole.communicate(timeout=300)
    assert whole.returncode == 0, said
    chance, kills = random.Random(0), 0
    while True:
        process = start(tmp_path / "cut")
        watched = tmp_path / "cut" / "checkpoint"
        while process.poll() is None and not watched.exists():
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, 0.3))
        if kills >= 8 or process.poll() is not None:
            _, said = process.communicate(timeout=300)
            assert process.returncode == 0, said
            break
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += 1
    assert kills >= 3
    name = "open_clip_model.safetensors"
    assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.slow
def test_the_tiny_clip_reads_held_out_digits(tmp_path):
    from cliplab.datasets.family import open_dataset
    from cliplab.evaluation import evaluate
    from cliplab.protocol import EvaluateConfig

    digits, _task = open_dataset("digits")
    folder = train_clip(digits, ContrastiveConfig(device="cpu"), tmp_path / "clip")
    record = evaluate(digits, folder, EvaluateConfig(out=tmp_path / "run", device="cpu"))
    for result in record["results"]:
        assert result["metrics"]["top1"]["value"] > 0.95
