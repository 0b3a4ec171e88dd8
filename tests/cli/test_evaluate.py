"""`cliplab evaluate` from the call to the record, over a tiny CLIP and little pictures."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest


def test_the_first_line_says_what_is_measured_and_the_tables_follow(cliplab, photos, tiny_clip):
    ended = cliplab("evaluate", photos, "--encoder", tiny_clip)
    assert ended.code == 0, ended.err
    first = ended.out.splitlines()[0]
    for part in ("(GELU, fp32)", "prompts simple (1)", "zero-shot and linear probe"):
        assert part in first
    assert "scored 6 of 36 (held out, fixed split)" in first
    for word in ("zero-shot", "linear probe", "red", "green", "blue", "record.json"):
        assert word in ended.out
    runs = list(Path("runs").iterdir())
    assert len(runs) == 1
    assert runs[0].name.startswith("photos-clip-")
    names = {path.name for path in runs[0].iterdir()}
    assert {"record.json", "predictions.parquet", "linear_probe.safetensors"} <= names


def test_json_is_the_record_that_lies_in_the_run(cliplab, photos, tiny_clip):
    ended = cliplab("evaluate", photos, "--encoder", tiny_clip, "--json", "--out", "run")
    record = ended.json()
    assert record == json.loads(Path("run/record.json").read_text())
    assert record["dataset"]["n"] == 6
    assert [r["classifier"]["name"] for r in record["results"]] == ["zero_shot", "linear_probe"]
    probe = record["results"][1]
    assert probe["metrics"]["top1"]["value"] == 1.0  # plain colours are easy
    assert probe["metrics"]["top5"]["value"] is None  # of three classes: not scored
    assert len(probe["trace"]) >= 7
    assert "scored 6 of 36" in ended.err


def test_a_second_run_decodes_no_picture(cliplab, photos, tiny_clip, monkeypatch):
    cliplab("evaluate", photos, "--encoder", tiny_clip, "--out", "first")

    def refuse(*_args, **_more):
        raise AssertionError("a picture was decoded again")

    monkeypatch.setattr("cliplab.pictures.loader.decode", refuse)
    ended = cliplab("evaluate", photos, "--encoder", tiny_clip, "--out", "second", "--json")
    assert ended.code == 0, ended.err
    assert ended.json()["timings"]["pictures_encoded"] == 0
    first, second = (
        json.loads(Path(run, "record.json").read_text()) for run in ("first", "second")
    )
    assert first["results"][0] == second["results"][0]
    before, after = (Path(run, "predictions.parquet").read_bytes() for run in ("first", "second"))
    assert before == after


def test_zero_shot_alone_encodes_the_scored_pictures_alone(cliplab, photos, tiny_clip):
    ended = cliplab(
        "evaluate", photos, "-e", tiny_clip, "--classifier", "zero_shot", "--json", "--out", "run"
    )
    assert ended.json()["timings"]["pictures_encoded"] == 6


def test_prompts_and_names_are_in_the_record(cliplab, photos, tiny_clip):
    Path("names.txt").write_text("blau\ngrün\nrot\n", encoding="utf-8")
    ended = cliplab(
        "evaluate", photos, "-e", tiny_clip, "--prompt", "ein {} Bild", "--prompt", "{}",
        "--classes", "names.txt", "--json",
    )  # fmt: skip
    record = ended.json()
    assert record["prompts"]["templates"] == ["ein {} Bild", "{}"]
    assert record["prompts"]["class_names"] == ["blau", "grün", "rot"]
    assert [row["name"] for row in record["results"][0]["per_class"]] == ["blau", "grün", "rot"]


def test_where_no_classifier_reads_texts_no_prompts_are_told(cliplab, photos, tiny_clip):
    ended = cliplab("evaluate", photos, "-e", tiny_clip, "--classifier", "linear_probe", "--json")
    assert ended.json()["prompts"] is None
    assert "prompts" not in ended.err


def test_the_first_line_names_a_weights_file_of_the_user_s(cliplab, photos, tiny_clip):
    weights = tiny_clip / "open_clip_model.safetensors"
    ended = cliplab("evaluate", photos, "-e", tiny_clip, "--weights", weights)
    assert ended.code == 0, ended.err
    assert "(open_clip_model.safetensors, GELU, fp32)" in ended.out.splitlines()[0]


def test_unreadable_pictures_are_listed_and_counted_or_fatal(cliplab, photos, tiny_clip, tmp_path):
    folder = tmp_path / "bad"
    shutil.copytree(photos, folder)
    for name in ("red/00.png", "blue/03.png"):
        (folder / name).write_text("<!DOCTYPE html><html>not found</html>")
    ended = cliplab("evaluate", folder, "-e", tiny_clip, "--json", "--out", "run")
    record = ended.json()
    assert {s["id"] for s in record["skipped"]} == {"red/00.png", "blue/03.png"}
    assert all("HTML" in s["reason"] for s in record["skipped"])
    assert sum(record["skipped_count"].values()) == 2
    failed = cliplab("evaluate", folder, "-e", tiny_clip, "--on-bad", "fail")
    assert failed.code == 1
    assert "HTML" in failed.err
    assert "Traceback" not in failed.err


def test_several_data_sets_and_encoders_give_one_table(
    cliplab, photos, tiny_clip, other_clip, tmp_path
):
    more = tmp_path / "sketches"
    shutil.copytree(photos, more)
    ended = cliplab(
        "evaluate", photos, more, "-e", tiny_clip, "-e", other_clip, "--csv", "table.csv"
    )
    assert ended.code == 0, ended.err
    with Path("table.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 2 * 2 * 2
    assert {Path(row["dataset"]).name for row in rows} == {"photos", "sketches"}
    assert sum(row["best"] == "True" for row in rows) == 4
    assert "pictures/s" in ended.out
    assert not list(Path("runs").glob(".suite-*.json"))


@pytest.fixture
def cells(monkeypatch):
    """Count the cells that are evaluated; `cells.kill_after(n)` kills the next call after n."""
    from cliplab import suite

    class Cells:
        done, most = 0, 1_000

        def kill_after(self, n):
            self.done, self.most = 0, n

    counted, real = Cells(), suite.evaluate

    def evaluate(*args, **more):
        if counted.done == counted.most:
            raise KeyboardInterrupt
        counted.done += 1
        return real(*args, **more)

    monkeypatch.setattr(suite, "evaluate", evaluate)
    return counted


def test_finished_cells_are_not_done_again_after_a_kill(
    cliplab, photos, tiny_clip, other_clip, cells
):
    call = ("evaluate", photos, "-e", tiny_clip, "-e", other_clip)
    cells.kill_after(1)
    assert cliplab(*call).code == 130
    cells.kill_after(1_000)
    ended = cliplab(*call)
    assert ended.code == 0, ended.err
    assert cells.done == 1
    assert "finished before" in ended.err


def test_few_shot_curves_are_in_the_record_the_table_and_the_csv(cliplab, photos, tiny_clip):
    call = ("evaluate", photos, "-e", tiny_clip, "--classifier", "zero_shot,linear_probe,mixed")
    ended = cliplab(*call, "--shots", "1,4", "--repeats", 2, "--out", "run", "--csv", "t.csv")
    assert ended.code == 0, ended.err
    assert "0, zero-shot" in ended.out
    assert "±" in ended.out
    block = json.loads(Path("run/record.json").read_text())["few_shot"]
    assert (block["shots"], block["repeats"]) == ([1, 4], 2)
    assert [curve["classifier"] for curve in block["curves"]] == ["linear_probe", "mixed"]
    assert len(block["draws"]) == 4
    with Path("t.csv").open(encoding="utf-8", newline="") as stream:
        assert sum(bool(row["shots"]) for row in csv.DictReader(stream)) == 4
    again = cliplab(*call, "--shots", "1", "--shots", "4", "--repeats", 2, "--json")
    assert again.json()["few_shot"] == block
    assert cliplab(*call, "--json").json()["few_shot"] is None


@pytest.mark.parametrize(
    ("given", "code", "told"),
    [
        (("--shots", "1,50"), 1, "Give --shots 1, or add pictures"),
        (("--shots", "4,1"), 2, "rising"),
        (("--shots", "0"), 2, "1 or more"),
        (("--shots", "some"), 2, "whole numbers"),
        (("--shots", "1", "--repeats", 0), 2, "--repeats 0"),
        (("--shots", "1", "--classifier", "zero_shot"), 2, "a classifier that learns"),
    ],
)
def test_shots_that_cannot_be_are_refused_with_the_way_out(
    cliplab, photos, tiny_clip, given, code, told
):
    ended = cliplab("evaluate", photos, "-e", tiny_clip, *given)
    assert ended.code == code
    assert told in ended.err
    assert "Traceback" not in ended.err


def test_temperature_and_reliability_are_in_the_record(cliplab, photos, tiny_clip):
    record = cliplab("evaluate", photos, "-e", tiny_clip, "--json").json()
    for result in record["results"]:
        block = result["calibration"]
        assert block["temperature"] > 0
        assert block["fitted_on"] == "6 training pictures held out"
        assert sum(row["n"] for row in block["reliability"]) == 6
        assert all(row["few"] for row in result["per_class"])  # two pictures a class
    alone = cliplab("evaluate", photos, "-e", tiny_clip, "--classifier", "zero_shot", "--json")
    block = alone.json()["results"][0]["calibration"]
    assert block["temperature"] is None
    assert block["fitted_on"] == "no training pictures were read"


@pytest.mark.parametrize("changed", ["names", "prompts", "weights"])
def test_a_cell_is_done_again_after_a_kill_if_its_words_or_weights_changed(
    cliplab, photos, tiny_clip, other_clip, cells, changed
):
    names, prompts, clip = Path("names.txt"), Path("prompts.txt"), Path("clip")
    names.write_text("blau\ngruen\nrot\n")
    prompts.write_text("ein {} Bild\n")
    shutil.copytree(tiny_clip, clip)
    files = ("--classes", names, "--prompts", prompts)
    call = ("evaluate", photos, "-e", clip, "-e", other_clip, *files)
    cells.kill_after(1)
    assert cliplab(*call).code == 130
    if changed == "names":
        names.write_text("blau\ngruen\nlila\n")
    elif changed == "prompts":
        prompts.write_text("das {} Bild\n")
    else:
        shutil.copytree(other_clip, clip, dirs_exist_ok=True)
    cells.kill_after(1_000)
    assert cliplab(*call).code == 0
    assert cells.done == 2


def test_cells_are_kept_until_the_table_is_written(cliplab, photos, tiny_clip, other_clip, cells):
    Path("table.csv").mkdir()
    call = ("evaluate", photos, "-e", tiny_clip, "-e", other_clip, "--csv", "table.csv")
    assert cliplab(*call).code == 1
    Path("table.csv").rmdir()
    cells.kill_after(0)
    assert cliplab(*call).code == 0
    assert len(Path("table.csv").read_text().splitlines()) == 1 + 2 * 2


def test_code_like_class_names_raise_a_warning_with_the_way_out(cliplab, tiny_clip, tmp_path):
    from tests.cli.conftest import make_photos

    folder = make_photos(tmp_path / "coded")
    for number, name in enumerate(("red", "green", "blue")):
        (folder / name).rename(folder / f"n0144{number:04}")
    ended = cliplab("evaluate", folder, "-e", tiny_clip, "--json")
    assert ended.code == 0, ended.err
    assert "look like codes" in ended.err
    assert "--classes FILE" in ended.err
    assert any("look like codes" in warning for warning in ended.json()["warnings"])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*says nothing of its preprocessing:UserWarning")
def test_predictions_are_those_of_plain_open_clip(cliplab, shared_data, tmp_path):
    """ViT-B/32 with random weights: picture by picture what twenty lines of open_clip say."""
    import numpy as np
    import open_clip
    import pyarrow.parquet as pq
    import torch
    from PIL import Image

    torch.manual_seed(0)
    model, _, transform = open_clip.create_model_and_transforms("ViT-B-32")
    model.eval()
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    folder = shared_data / "caltech101"
    ended = cliplab(
        "evaluate", folder, "-e", "ViT-B-32", "--weights", tmp_path / "weights.pt",
        "--classifier", "zero_shot", "--split", "all", "--out", "run",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    table = pq.read_table("run/predictions.parquet").to_pydict()

    tokenizer = open_clip.get_tokenizer("ViT-B-32")
    names = [p.name.replace("_", " ") for p in sorted(folder.iterdir()) if p.is_dir()]
    with torch.inference_mode():
        texts = model.encode_text(tokenizer([f"a photo of a {name}." for name in names]))
        texts = torch.nn.functional.normalize(texts, dim=-1)
        logits = []
        for start in range(0, len(table["id"]), 50):
            batch = [Image.open(folder / i) for i in table["id"][start : start + 50]]
            images = model.encode_image(torch.stack([transform(p.convert("RGB")) for p in batch]))
            images = torch.nn.functional.normalize(images, dim=-1)
            logits.append(model.logit_scale.exp() * images @ texts.T)
    logits = torch.cat(logits).numpy()
    top = np.sort(logits, axis=1)[:, -2:]
    sure = top[:, 1] - top[:, 0] > 1e-5
    assert sure.mean() > 0.9
    assert (logits.argmax(axis=1) == np.array(table["predicted"]))[sure].all()


def test_a_folder_of_odd_pictures_is_done_with_exact_counts(cliplab, shared_data, tiny_clip):
    folder = shared_data / "odd_images"
    with (folder / "manifest.tsv").open(encoding="utf-8") as stream:
        listed = {row["path"]: row for row in csv.DictReader(stream, delimiter="\t")}
    bad = {path for path, row in listed.items() if not row["Pillow13_result"].startswith("ok")}
    call = ("evaluate", folder, "-e", tiny_clip, "--classifier", "zero_shot", "--split", "all")
    record = cliplab(*call, "--json").json()
    assert record["dataset"]["n"] == len(listed) - len(bad) == 159
    assert {skipped["id"] for skipped in record["skipped"]} == bad
    assert all(len(skipped["reason"]) > 10 for skipped in record["skipped"])
