"""`--train-on`, `transfer`, `:retrieval` and `audit`, each from its call; and the wrong calls."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from tests.cli.conftest import make_photos
from tests.cli.test_bad_calls import check


def rows_of(path: str) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def world(tmp_path) -> Path:
    for seed, name in enumerate(("photo", "sketch")):
        make_photos(tmp_path / "world" / name, n=8, seed=seed)
    return tmp_path / "world"


# ------------------------------------------------------------------------------- --train-on


def test_train_on_another_data_set(cliplab, world, tiny_clip):
    call = ("evaluate", world / "sketch", "--train-on", world / "photo", "-e", tiny_clip)
    ended = cliplab(*call, "--out", "run")
    assert ended.code == 0, ended.err
    assert f"trained on 18 of {world / 'photo'}" in ended.out.splitlines()[0]
    record = json.loads(Path("run/record.json").read_text())
    assert record["trained_on"]["name"] == str(world / "photo")
    assert len(record["trained_on"]["digest"]) == 64
    assert record["config"]["train_on"] == str(world / "photo")
    assert "Fitted on the training pictures of" in record["protocol"]
    assert record["results"][1]["classifier"]["settings"]["n_train"] == 18
    own = cliplab("evaluate", world / "photo", "-e", tiny_clip, "--json").json()
    assert "trained_on" not in own
    assert record["trained_on"]["digest"] == own["dataset"]["digest"]


def test_classes_that_only_one_has_are_said(cliplab, world, tiny_clip):
    (world / "photo" / "red").rename(world / "photo" / "crimson")
    call = ("evaluate", world / "sketch", "--train-on", world / "photo", "-e", tiny_clip)
    ended = cliplab(*call, "--json")
    assert ended.code == 0, ended.err
    assert "scored on the 2 classes" in ended.err
    record = ended.json()
    assert record["trained_on"]["left_out"] == ["red", "crimson"]
    assert [row["name"] for row in record["results"][0]["per_class"]] == ["blue", "green"]
    assert record["dataset"]["n"] == 4
    assert any("left out: 'red', 'crimson'" in warning for warning in record["warnings"])


def test_train_on_wrongly(cliplab, world, tiny_clip):
    run = ("evaluate", world / "sketch", "-e", tiny_clip)
    check(cliplab(*run, "--train-on", "nosuch"), 2, "nosuch")
    check(cliplab(*run, "--train-on", "digits"), 1, "share 0 classes", "Rename class folders")
    only = (*run, "--train-on", world / "photo", "--classifier", "zero_shot")
    check(cliplab(*only), 2, "--train-on", "linear_probe")


# ------------------------------------------------------------------------------- transfer


def test_transfer_prints_the_matrix_and_keeps_its_runs(cliplab, world, tiny_clip):
    call = ("transfer", world, "-e", tiny_clip)
    ended = cliplab(*call, "--csv", "matrix.csv")
    assert ended.code == 0, ended.err
    for word in ("trained on", "photo", "sketch", "zero-shot", "mean of", "records: runs/transfer"):
        assert word in ended.out
    rows = rows_of("matrix.csv")
    assert [(row["trained_on"], row["tested_on"]) for row in rows] == [
        (train, test) for train in ("photo", "sketch", "zero-shot") for test in ("photo", "sketch")
    ]
    assert all(Path(row["run"], "record.json").is_file() for row in rows)
    again = cliplab(*call, "--json")
    assert again.err.count("finished before") == 6
    found = again.json()
    assert found["domains"] == ["photo", "sketch"]
    assert [str(cell["top1"]) for cell in found["cells"]] == [row["top1"] for row in rows]
    assert "No runs" in cliplab("runs").out  # the cells are in a folder of their own


def test_the_cells_of_a_column_can_be_compared(cliplab, world, tiny_clip):
    assert cliplab("transfer", world, "-e", tiny_clip, "--out", "cells").code == 0
    runs = ("photo-to-sketch", "sketch-to-sketch", "--runs", "cells")
    ended = cliplab("compare", *runs)
    assert ended.code == 0, ended.err
    assert "the same 6 pictures" in ended.out
    check(cliplab("compare", "photo-to-photo", "photo-to-sketch", "--runs", "cells"), 1, "test set")


def test_transfer_wrongly(cliplab, world, photos, tiny_clip):
    check(cliplab("transfer", photos, "-e", tiny_clip), 2, "has no domains")
    check(cliplab("transfer", "digits", "-e", tiny_clip), 2, "has no domains")
    check(cliplab("transfer", world, "-e", tiny_clip, "--classifier", "zero_shot"), 2, "one")
    check(cliplab("transfer", world, "nosuch", "-e", tiny_clip), 2, "nosuch")
    check(cliplab("transfer"), 2)


@pytest.mark.slow
def test_transfer_over_the_domains_of_pacs(cliplab, shared_data, tiny_clip):
    ended = cliplab("transfer", shared_data / "pacs", "-e", tiny_clip, "--json")
    assert ended.code == 0, ended.err
    found = ended.json()
    assert found["domains"] == ["art_painting", "cartoon", "photo", "sketch"]
    assert len(found["cells"]) == 5 * 4
    assert {cell["n"] for cell in found["cells"]} == {21}


# ------------------------------------------------------------------------------- retrieval


@pytest.fixture
def captioned(photos, tmp_path) -> Path:
    folder = tmp_path / "captioned"
    shutil.copytree(photos, folder)
    lines = ["path,label,caption"]
    for path in sorted(folder.rglob("*.png")):
        name = path.relative_to(folder).as_posix()
        lines.append(f"{name},{path.parent.name},a {path.parent.name} picture number {path.stem}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_retrieval_by_captions(cliplab, captioned, tiny_clip):
    call = ("evaluate", f"{captioned}:retrieval", "-e", tiny_clip)
    ended = cliplab(*call, "--csv", "found.csv")
    assert ended.code == 0, ended.err
    assert "6 captions, 6 pictures" in ended.out.splitlines()[0]
    for word in ("image", "text", "recall", "@5 %"):
        assert word in ended.out
    row = rows_of("found.csv")[0]
    assert row["image_retrieval_recall@10"] == ""  # of six pictures all are among the first ten
    assert 0 <= float(row["image_retrieval_recall@1"]) <= 1
    record = cliplab(*call, "--split", "all", "--json").json()
    assert record["retrieval"]["settings"]["n_pictures"] == 36
    assert record["retrieval"]["metrics"]["text_retrieval_recall@10"]["value"] is not None
    listed = cliplab("runs").out
    assert "image retrieval recall@1" in listed


def test_retrieval_of_several_encoders_is_one_table(cliplab, captioned, tiny_clip, other_clip):
    call = ("evaluate", f"{captioned}:retrieval", "-e", tiny_clip, "-e", other_clip)
    ended = cliplab(*call, "--csv", "found.csv")
    assert ended.code == 0, ended.err
    assert len(rows_of("found.csv")) == 2
    assert ended.out.count("record: ") == 2


def test_retrieval_wrongly(cliplab, photos, captioned, tiny_clip):
    run = ("-e", tiny_clip)
    check(cliplab("evaluate", f"{photos}:retrieval", *run), 1, "neither queries", "captions.csv")
    check(cliplab("evaluate", "digits:retrieval", *run), 1, "neither queries")
    found = f"{captioned}:retrieval"
    check(cliplab("evaluate", found, *run, "--features", "pre"), 2, "after the projection")
    check(cliplab("evaluate", found, *run, "--train-on", photos), 2, "retrieval learns nothing")
    check(cliplab("evaluate", found, *run, "--split", "validation"), 1, "test 6", "train 30")
    check(cliplab("evaluate", found, photos, *run), 2, "a table of its own")
    assert cliplab("evaluate", found, *run).code == 0
    check(cliplab("compare"), 1, "retrieval")


# ------------------------------------------------------------------------------- audit


def test_audit_writes_the_review(cliplab, photos, tiny_clip, tmp_path):
    folder = tmp_path / "faulty"
    shutil.copytree(photos, folder)
    (folder / "red" / "00.png").replace(folder / "blue" / "moved.png")
    shutil.copy(folder / "green" / "01.png", folder / "green" / "copy.png")
    (folder / "green" / "page.png").write_text("<html></html>")
    ended = cliplab("audit", folder, "-e", tiny_clip)
    assert ended.code == 0, ended.err
    for word in ("38 pictures", "duplicate", "across splits", "unreadable", "review: review.csv"):
        assert word in ended.out
    rows = rows_of("review.csv")
    kinds = {row["path"]: row for row in rows}
    assert kinds["green/copy.png"]["other_path"] == "green/01.png"
    assert kinds["green/page.png"]["kind"] == "unreadable"
    assert kinds["blue/moved.png"]["suggested"] == "red"
    found = cliplab("audit", folder, "-e", tiny_clip, "--csv", "other.csv", "--json").json()
    assert len(found["findings"]) == len(rows)
    assert found["counts"]["unreadable"] == 1
    assert found["review"] == "other.csv"
    assert Path("other.csv").read_bytes() == Path("review.csv").read_bytes()


def test_audit_wrongly(cliplab, photos, tiny_clip):
    check(cliplab("audit", photos, "-e", tiny_clip, "--threshold", "1.5"), 2, "cosine in 0..1")
    check(cliplab("audit", "nosuch", "-e", tiny_clip), 2, "nosuch")
    check(cliplab("audit", photos, "-e", "ViT-B-33/openai"), 2, "Did you mean 'ViT-B-32'")
    check(cliplab("audit", photos, "-e", tiny_clip, "--features", "mid"), 2, "pre or post")
    assert not Path("review.csv").exists()


# ------------------------------------------------------------------------------- named data sets


@pytest.mark.parametrize("name", ["oxford", "paris"])
def test_landmarks_are_retrieved_by_their_55_queries(
    cliplab, tiny_clip, tmp_path, monkeypatch, name
):
    from tests.datasets import miniatures

    monkeypatch.setattr(miniatures, "SHARED", tmp_path / "nowhere")  # boxes that fit 8x8 pictures
    getattr(miniatures, f"make_{name}")(tmp_path / "archives")
    made = cliplab("prepare", name, "--archives", tmp_path / "archives")
    assert made.code == 0, made.err
    ended = cliplab("evaluate", f"{name}:retrieval", "-e", tiny_clip, "--out", "run")
    assert ended.code == 0, ended.err
    assert "55 queries" in ended.out.splitlines()[0]
    assert "mAP" in ended.out
    found = json.loads(Path("run/record.json").read_text())["retrieval"]
    assert len(found["queries"]) == 55
    assert [group["n"] for group in found["groups"]] == [5] * 11
    assert {group["name"] for group in found["groups"]} >= {
        {"oxford": "radcliffe_camera", "paris": "eiffel"}[name]
    }
    for query in found["queries"]:
        assert (query["n_wanted"], query["n_missing"], query["n_junk"]) == (5, 0, 1)
    measure = found["metrics"]["mAP"]
    mean = sum(query["average_precision"] for query in found["queries"]) / 55
    assert measure["value"] == pytest.approx(mean)
    assert 0 < measure["low"] <= measure["value"] <= measure["high"] <= 1
    pre = cliplab("evaluate", f"{name}:retrieval", "-e", tiny_clip, "--features", "pre", "--json")
    assert pre.json()["timings"]["pictures_encoded"] == 0  # regions are kept as well
    assert pre.json()["retrieval"]["settings"]["features"] == "pre"


@pytest.mark.slow
def test_transfer_over_the_parts_of_domainnet(cliplab, tiny_clip, tmp_path, monkeypatch):
    from tests.datasets import miniatures

    monkeypatch.setattr(miniatures, "SHARED", tmp_path / "nowhere")
    labels = [0, 1, 2, miniatures.NO_TRAINING[1]]
    made = miniatures.make_domainnet(tmp_path / "archives", per_class=3, labels=labels)
    miniatures.accept(monkeypatch, made)
    names = [f"domainnet/{d}" for d in ("clipart", "infograph", "painting", "quickdraw", "real")]
    for name in (*names, "domainnet/sketch"):
        ended = cliplab("prepare", name, "--archives", tmp_path / "archives")
        assert ended.code == 0, ended.err
    ended = cliplab("transfer", "domainnet", "-e", tiny_clip, "--json")
    assert ended.code == 0, ended.err
    found = ended.json()
    assert len(found["domains"]) == 6
    assert len(found["cells"]) == 7 * 6
    assert len(found["class_names"]) == 3
    assert "t-shirt" in found["left_out"]  # without a training picture among the paintings
    columns = {domain: set() for domain in found["domains"]}
    for cell in found["cells"]:
        columns[cell["tested_on"]].add(cell["n"])
    assert all(len(sizes) == 1 for sizes in columns.values())
    call = ("evaluate", "domainnet/sketch", "--train-on", "domainnet/real", "-e", tiny_clip)
    record = cliplab(*call, "--json").json()
    assert record["trained_on"]["name"] == "domainnet/real"


# ------------------------------------------------------------------------------- classify


def test_a_runs_probe_labels_new_pictures_with_calibrated_probabilities(
    cliplab, photos, tiny_clip, tmp_path
):
    import numpy as np

    from cliplab.metrics.calibration import tempered
    from cliplab.report.predictions import read_predictions

    hard = make_photos(tmp_path / "hard", n=20, seed=3)
    for path in sorted(hard.rglob("*.png"))[::4]:  # every fourth picture shows another class
        shutil.copy(photos / "red" / f"{int(path.stem) % 12:02}.png", path)
    assert cliplab("evaluate", hard, "-e", tiny_clip).code == 0
    run = next(Path("runs").iterdir())
    record = json.loads((run / "record.json").read_text())
    entry = next(r for r in record["results"] if r["classifier"]["name"] == "linear_probe")
    temperature = entry["calibration"]["temperature"]
    assert temperature != pytest.approx(1, abs=1e-3)
    ended = cliplab("classify", hard, "--with", "latest", "--csv", "labels.csv", "--json")
    answer = ended.json()
    assert answer["temperature"] == temperature
    assert "calibrated on" in answer["note"]
    told = read_predictions(run)["linear_probe"]
    expected = np.exp(tempered(told.scores, temperature))
    place = {path: i for i, path in enumerate(answer["ids"])}
    rows = [place[str(hard / id_)] for id_ in told.ids]
    assert np.abs(np.array(answer["probabilities"])[rows] - expected).max() < 1e-4
    lines = rows_of("labels.csv")
    assert [line["path"] for line in lines] == answer["ids"]
    assert list(lines[0]) == ["path", "label", "probability", "second", "second_probability"]
    first = answer["probabilities"][0]
    assert float(lines[0]["probability"]) == pytest.approx(max(first), abs=1e-6)
    assert float(lines[0]["second_probability"]) == pytest.approx(sorted(first)[-2], abs=1e-6)
    assert "calibrated on" in cliplab("classify", hard, "--with", "latest").out


def test_a_probe_that_could_not_be_calibrated_says_so(cliplab, tiny_clip, tmp_path):
    few = make_photos(tmp_path / "few", n=2)
    assert cliplab("evaluate", few, "-e", tiny_clip).code == 0
    answer = cliplab("classify", few, "--with", "latest", "--json").json()
    assert answer["temperature"] is None
    assert "not calibrated" in answer["note"]
