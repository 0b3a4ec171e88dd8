"""What TensorBoard reads of a training, cut off and gone on with or not."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from cliplab.training.checkpoints import Trained
from cliplab.training.loop import LoopConfig, train, whole_batch
from cliplab.training.watching import FOLDER, Watch, picture_grid, watching

CONFIG = LoopConfig(
    steps=9, steps_per_epoch=3, batch_size=4, lr=0.05, warmup=0.0, weight_decay=0.0,
    checkpoint_seconds=0.0,
)  # fmt: skip


def read(folder):
    """All events as TensorBoard itself puts them together."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder / FOLDER), size_guidance={"images": 0, "scalars": 0})
    return found.Reload()


def steps_of(events, name) -> list[int]:
    return [event.step for event in events.Scalars(name)]


def run(out, stop_at=None):
    torch.manual_seed(0)
    model, taken = torch.nn.Linear(3, 1), []

    def batches(step):
        while True:
            yield torch.randn(4, 3, generator=torch.Generator().manual_seed(step))
            step += 1

    def loss(x):
        taken.append(1)
        if stop_at is not None and len(taken) > stop_at:
            raise KeyboardInterrupt
        return (model(x) - x.sum(dim=1, keepdim=True)).square().mean()

    with watching(out, CONFIG.steps) as watch:
        train(
            model, batches, whole_batch(loss), CONFIG, folder=out / "checkpoint",
            identity={}, watch=watch,
        )  # fmt: skip


def test_each_number_of_a_training_has_its_curve(tmp_path):
    run(tmp_path)
    events = read(tmp_path)
    assert set(events.Tags()["scalars"]) == {
        "loss", "learning_rate", "gradient_norm", "pictures_a_second", "memory",
    }  # fmt: skip
    assert steps_of(events, "loss") == list(range(1, 10))
    assert events.Scalars("learning_rate")[0].value == pytest.approx(0.05)
    assert events.Scalars("memory")[0].value > 1 << 20


def test_a_resumed_training_goes_on_without_a_step_twice_or_none(tmp_path):
    run(tmp_path / "whole")
    for stop_at in (4, 2):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "cut", stop_at=stop_at)
    run(tmp_path / "cut")
    whole, cut = read(tmp_path / "whole"), read(tmp_path / "cut")
    assert steps_of(cut, "loss") == list(range(1, 10))
    assert [e.value for e in cut.Scalars("loss")] == [e.value for e in whole.Scalars("loss")]


def test_what_was_written_after_the_checkpoint_is_void(tmp_path):
    nothing = Trained(torch.nn.Linear(1, 1), torch.optim.SGD([torch.zeros(1)]))
    for steps, value in ((range(1, 7), 1.0), (range(4, 10), 2.0)):  # cut off at 6, resumed from 3
        with watching(tmp_path, 9) as watch:
            for step in steps:
                watch(step, {"loss": value}, nothing)
    events = read(tmp_path)
    assert [e.value for e in events.Scalars("loss")] == [1.0] * 3 + [2.0] * 6
    assert steps_of(events, "loss") == list(range(1, 10))


def test_long_trainings_are_thinned_and_pictures_are_few(tmp_path):
    drawn = []

    def draw(trained):
        drawn.append(trained)
        return np.zeros((4, 6, 1), dtype=np.uint8)

    nothing = Trained(torch.nn.Linear(1, 1), torch.optim.SGD([torch.zeros(1)]))
    with watching(tmp_path, 5000, draw=draw, grids=4, about="words") as watch:
        for step in range(1, 5001):
            watch(step, {"loss": 1.0}, nothing)
    events = read(tmp_path)
    assert steps_of(events, "loss") == [1, *range(5, 5001, 5)]
    assert [e.step for e in events.Images("pictures")] == [1, 1250, 2500, 3750, 5000]
    assert (events.Images("pictures")[0].width, events.Images("pictures")[0].height) == (6, 4)
    assert len(drawn) == 5


def test_nothing_is_written_before_the_first_step(tmp_path):
    Watch(tmp_path, 3).close()
    assert not (tmp_path / FOLDER).exists()


def test_tensorboard_is_not_imported_before_it_is_used():
    code = "import sys, cliplab.training.loop, cliplab.training.watching as w\n" + (
        "assert 'tensorboard' not in sys.modules\nw.load_tensorboard()\n"
        "assert 'tensorboard' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


def test_a_grid_has_rows_of_pictures():
    above = np.arange(2 * 3 * 2 * 2, dtype=np.uint8).reshape(2, 3, 2, 2)
    grid = picture_grid(above, above + 100, gap=1)
    assert grid.shape == (7, 7, 3)
    assert (grid[1:3, 4:6] == above[1].transpose(1, 2, 0)).all()
    assert (grid[4:6, 1:3] == above[0].transpose(1, 2, 0) + 100).all()
    assert (grid[3] == 255).all()
