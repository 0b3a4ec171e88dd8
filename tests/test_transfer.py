"""A matrix over made domains: what is shared, fitted once a row, and not done again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cliplab import transfer as module
from cliplab.protocol import EvaluateConfig
from cliplab.report.record import read_record
from cliplab.runtime.errors import DataError, UsageError
from cliplab.transfer import find_domains, transfer

COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}


def domain(folder: Path, seed: int, names=tuple(COLOURS), n: int = 10, swap: bool = False) -> Path:
    """Little pictures of plain colours; `swap`: red is called green, and green red."""
    generator = np.random.default_rng(seed)
    called = {"red": "green", "green": "red"} if swap else {}
    for name in names:
        (folder / called.get(name, name)).mkdir(parents=True)
        for i in range(n):
            pixels = np.clip(generator.normal(COLOURS[name], 40, (10, 10, 3)), 0, 255)
            picture = Image.fromarray(pixels.astype(np.uint8))
            picture.save(folder / called.get(name, name) / f"{i}.png")
    return folder


@pytest.fixture
def world(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("photo", "sketch")):
        domain(tmp_path / "world" / name, seed=number)
    domain(tmp_path / "world" / "swapped", seed=5, swap=True)
    return Path("world")


def test_the_matrix(world, toy_encoder):
    found = transfer([str(world)], toy_encoder, EvaluateConfig())
    assert found.domains == ("photo", "sketch", "swapped")
    assert found.class_names == ("blue", "green", "red")
    assert len(found.cells) == 4 * 3

    def top1(train, test):
        return found.cell(train, test).result["metrics"]["top1"]["value"]

    assert top1("photo", "sketch") == top1("sketch", "photo") == top1("swapped", "swapped") == 1
    assert top1("photo", "swapped") == pytest.approx(1 / 3)  # only blue is blue in both
    cell = found.cell("photo", "sketch")
    assert cell.record["trained_on"]["name"] == "world/photo"
    assert cell.record["trained_on"]["n"] == 24
    assert cell.record["dataset"]["name"] == "world/sketch"
    assert (cell.record.run / "linear_probe.safetensors").is_file()
    zero_shot = found.cell(None, "sketch")
    assert zero_shot.result["classifier"]["name"] == "zero_shot"
    assert "trained_on" not in zero_shot.record.data


def test_a_cell_is_what_evaluate_gives(world, toy_encoder, tmp_path):
    from cliplab.evaluation import evaluate

    cell = transfer([str(world)], toy_encoder).cell("photo", "sketch")
    config = EvaluateConfig(
        classifier=("linear_probe",), train_on="world/photo", out=tmp_path / "run"
    )
    record = evaluate("world/sketch", toy_encoder, config)
    assert record["results"][0]["metrics"] == cell.result["metrics"]
    assert record["trained_on"] == cell.record["trained_on"]
    before, after = (Path(r.run, "predictions.parquet").read_bytes() for r in (cell.record, record))
    assert before == after


def test_a_probe_is_fitted_once_a_row_and_finished_cells_are_read(
    world, toy_encoder, monkeypatch, capsys
):
    from cliplab.classifiers import linear_probe

    fits, real = [], linear_probe.fit

    def watched(problem):
        fits.extend([1] * (problem.config.c is None))  # with C given it is for the temperature
        return real(problem)

    monkeypatch.setattr(linear_probe, "fit", watched)
    done, evaluate = [], module.evaluate

    def killed_at_the_sixth(*args, **more):
        if len(done) == 5:
            raise KeyboardInterrupt
        done.append(1)
        return evaluate(*args, **more)

    monkeypatch.setattr(module, "evaluate", killed_at_the_sixth)
    with pytest.raises(KeyboardInterrupt):
        transfer([str(world)], toy_encoder)
    assert len(fits) == 2
    monkeypatch.setattr(module, "evaluate", lambda *a, **k: done.append(1) or evaluate(*a, **k))
    found = transfer([str(world)], toy_encoder)
    assert len(done) == 12
    assert len(fits) == 4  # the second row's again, and the third's
    assert capsys.readouterr().err.count("finished before") == 5
    encoded = toy_encoder.encoded
    again = transfer([str(world)], toy_encoder)
    assert [c.record.data for c in again.cells] == [c.record.data for c in found.cells]
    assert toy_encoder.encoded == encoded
    assert len(done) == 12


def test_changed_pictures_are_another_transfer(world, toy_encoder):
    first = transfer([str(world)], toy_encoder)
    (world / "sketch" / "red" / "0.png").unlink()
    second = transfer([str(world)], toy_encoder)
    assert first.folder != second.folder
    config = EvaluateConfig(out=first.folder)
    with pytest.raises(UsageError, match="other pictures or settings"):
        transfer([str(world)], toy_encoder, config)


def test_all_cells_of_a_column_score_the_same_pictures(world, toy_encoder, capsys):
    extra = domain(Path("other"), seed=9, names=("red", "green"))
    names = [str(world / "photo"), str(world / "sketch"), str(extra)]
    said = []
    found = transfer(names, toy_encoder, told=said.append)
    assert found.class_names == ("green", "red")
    assert found.left_out == ("blue",)
    assert "left out: 'blue'" in said[0]
    for test in found.domains:
        cells = [found.cell(train, test) for train in (*found.domains, None)]
        assert len({c.record["dataset"]["pictures_digest"] for c in cells}) == 1
        assert {c.record["dataset"]["n"] for c in cells} == {4}
    assert found.cell("photo", "other").record["trained_on"]["left_out"] == ["blue"]
    assert "warning" not in capsys.readouterr().err


def test_the_plan_is_written_first(world, toy_encoder):
    found = transfer([str(world)], toy_encoder, EvaluateConfig(out=Path("out")))
    plan = json.loads((found.folder / "transfer.json").read_text())
    assert plan["domains"] == ["photo", "sketch", "swapped"]
    assert read_record(found.folder / "photo-to-sketch")["dataset"]["n"] == 6


def test_domains_by_name(world, monkeypatch):
    assert find_domains(["world"]) == ["world/photo", "world/sketch", "world/swapped"]
    assert find_domains(["world/:label"])[0] == "world/photo:label"
    assert find_domains(["a", "b"]) == ["a", "b"]

    class Entry:
        def __init__(self, name):
            self.name = name

    names = ("domainnet", "domainnet/clipart", "domainnet/real", "digits")
    monkeypatch.setattr(
        "cliplab.datasets.family.catalogue", lambda _home=None: [Entry(name) for name in names]
    )
    assert find_domains(["domainnet"]) == ["domainnet/clipart", "domainnet/real"]
    assert find_domains(["domainnet:class"])[1] == "domainnet/real:class"


def test_what_has_no_domains(world, tmp_path):
    with pytest.raises(UsageError, match="has no domains"):
        find_domains(["world/photo"])
    with pytest.raises(UsageError, match="has no domains"):
        find_domains(["digits"])
    with pytest.raises(UsageError, match="named twice"):
        find_domains(["digits", "digits"])
    for split in ("train", "test"):
        domain(tmp_path / "split" / split, seed=0)
    with pytest.raises(UsageError, match="are splits"):
        find_domains([str(tmp_path / "split")])


def test_calls_that_cannot_be(world, toy_encoder):
    for more in (
        {"classifier": ("zero_shot",)},
        {"classifier": ("knn", "linear_probe")},
        {"train_on": "digits"},
        {"split": "validation", "classifier": ("knn",)},
    ):
        with pytest.raises(UsageError):
            transfer([str(world)], toy_encoder, EvaluateConfig(**more))
    domain(Path("alien"), seed=1)
    for name in COLOURS:
        (Path("alien") / name).rename(Path("alien") / f"not {name}")
    with pytest.raises(DataError, match="share 0 classes"):
        transfer(["world/photo", "alien"], toy_encoder)
