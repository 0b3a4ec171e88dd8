"""The other commands, each from its call to what it prints and writes."""

from __future__ import annotations

import csv
import dataclasses
import inspect
import shutil
from pathlib import Path

import numpy as np
import pytest


def test_help_lists_every_command(cliplab):
    ended = cliplab("--help")
    assert ended.code == 0
    for name in ("demo", "evaluate", "classify", "compare", "transfer", "audit", "embed", "train",
                 "datasets", "prepare", "encoders", "runs"):  # fmt: skip
        assert name in ended.out


def test_version(cliplab):
    import cliplab as package

    assert cliplab("--version").out.strip() == f"cliplab {package.__version__}"


def test_datasets(cliplab):
    shown = cliplab("datasets").out
    assert max(map(len, shown.partition("Licences")[0].splitlines())) <= 100
    assert [line.split() for line in shown.splitlines() if line.startswith("wikiart ")] == [
        ["wikiart", "style", "(27)", "train", "57,025", "not", "here", "81,446", "–", "25,400"]
    ]
    assert "digits, quickdraw, quickdraw/bitmaps" in shown
    assert "quickdraw/raw: CC BY 4.0" in shown
    entry = cliplab("datasets", "--json").json()[0]
    assert (entry["name"], entry["tasks"], entry["pictures"]) == ("digits", {"digit": 10}, 1797)


def test_encoders(cliplab):
    rows = cliplab("encoders", "rn50/openai", "--json").json()
    row = next(row for row in rows if row["name"] == "RN50/openai")
    assert (row["width"], row["parameters"]) == (1024, 102_007_137)
    assert "RN50/openai" in cliplab("encoders", "RN50/").out
    wrong = cliplab("encoders", "nosuchmodel")
    assert wrong.code == 2


def test_prepare_then_evaluate_the_prepared_folder(cliplab, tiny_clip):
    folder = Path(cliplab("prepare", "digits", "--json").json()[0])
    assert sorted(p.name for p in (folder / "data").iterdir())[0].startswith("test-00000-of-")
    ended = cliplab("evaluate", folder, "-e", tiny_clip, "--classifier", "zero_shot", "--json")
    assert ended.json()["dataset"]["n"] == 359
    again = cliplab("prepare", "digits")
    assert again.code == 0
    assert str(folder) in again.out


def test_embed_fills_the_store_once(cliplab, photos, tiny_clip, home):
    first = cliplab("embed", photos, "-e", tiny_clip, "--json").json()
    assert (first["n_encoded"], first["n_cached"], first["n_skipped"]) == (36, 0, 0)
    assert Path(first["folder"]).is_relative_to(home)
    second = cliplab("embed", photos, "-e", tiny_clip, "--json").json()
    assert (second["n_encoded"], second["n_cached"]) == (0, 36)
    record = cliplab("evaluate", photos, "-e", tiny_clip, "--json").json()
    assert record["timings"]["pictures_encoded"] == 0


def test_runs_lists_them_newest_first(cliplab, photos, tiny_clip):
    assert "No runs" in cliplab("runs").out
    for run in ("runs/one", "runs/two"):
        cliplab("evaluate", photos, "-e", tiny_clip, "--out", run)
    names = [Path(entry["folder"]).name for entry in cliplab("runs", "--json").json()]
    assert names == ["two", "one"]
    assert "one" in cliplab("runs").out


def test_compare_gives_the_paired_difference(cliplab, photos, tiny_clip, other_clip):
    for encoder, run in ((tiny_clip, "runs/a"), (other_clip, "runs/b")):
        cliplab("evaluate", photos, "-e", encoder, "--out", run, "--classifier", "zero_shot")
    ended = cliplab("compare", "a", "latest")
    assert ended.code == 0, ended.err
    assert "the same 6 pictures" in ended.out
    found = cliplab("compare", "a", "b", "--json").json()
    assert found["n"] == 6
    assert sum(result["best"] for result in found["results"]) == 1


def test_classify_by_captions(cliplab, photos, tiny_clip):
    picture = photos / "red" / "00.png"
    call = ("classify", picture, photos / "blue", "-l", "red", "-l", "blue", "-e", tiny_clip)
    ended = cliplab(*call, "--csv", "out.csv")
    assert ended.code == 0, ended.err
    assert str(picture) in ended.out
    answer = cliplab(*call, "--json").json()
    assert len(answer["ids"]) == 1 + 12
    assert all(sum(row) == pytest.approx(1, abs=1e-5) for row in answer["probabilities"])
    with Path("out.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["path"] for row in rows] == answer["ids"]
    first = ["path", "label", "probability", "second", "second_probability"]
    assert list(rows[0]) == [*first, "p(red)", "p(blue)"]
    told = [[float(row["p(red)"]), float(row["p(blue)"])] for row in rows]
    assert told == pytest.approx(np.array(answer["probabilities"]), abs=1e-5)
    assert all(float(row["probability"]) >= float(row["second_probability"]) for row in rows)


def test_a_label_called_as_a_column_takes_none_from_it(cliplab, photos, tiny_clip):
    call = ("classify", photos / "red" / "00.png", "-l", "label", "-l", "path", "-e", tiny_clip)
    answer = cliplab(*call, "--csv", "out.csv", "--json").json()
    with Path("out.csv").open(encoding="utf-8", newline="") as stream:
        row = next(csv.DictReader(stream))
    assert row["path"] == answer["ids"][0]
    assert {row["label"], row["second"]} == {"label", "path"}
    told = [float(row[column]) for column in ("probability", "second_probability")]
    assert told == pytest.approx(sorted(answer["probabilities"][0], reverse=True), abs=1e-5)


def test_classify_equals_similarity(cliplab, photos, tiny_clip):
    from cliplab.encoders.open_clip import load_encoder

    picture = photos / "green" / "01.png"
    labels = ["a red thing", "a green thing"]
    call = ("classify", picture, "-l", labels[0], "-l", labels[1], "-e", tiny_clip, "--json")
    expected = load_encoder(tiny_clip, device="cpu").similarity([picture], labels)[0]
    assert cliplab(*call).json()["probabilities"][0] == pytest.approx(expected.tolist(), abs=1e-5)


def test_classify_with_the_probe_of_a_run(cliplab, photos, tiny_clip):
    cliplab("evaluate", photos, "-e", tiny_clip)
    answer = cliplab("classify", photos / "green", "--with", "latest", "--json").json()
    assert answer["labels"] == ["blue", "green", "red"]
    best = [row.index(max(row)) for row in answer["probabilities"]]
    assert best.count(1) >= 11


def test_the_probe_of_a_run_before_does_not_answer_for_one_without(cliplab, photos, tiny_clip):
    call = ("evaluate", photos, "-e", tiny_clip, "--out", "run")
    assert cliplab(*call).code == cliplab(*call, "--classifier", "zero_shot").code == 0
    ended = cliplab("classify", photos / "green", "--with", "run")
    assert ended.code == 1
    assert "without a probe" in ended.err


def test_classify_lists_what_it_cannot_read(cliplab, photos, tiny_clip):
    shutil.copy(photos / "red" / "00.png", "good.png")
    Path("bad.png").write_text("<html></html>")
    call = ("classify", "good.png", "bad.png", "-l", "a", "-l", "b", "-e", tiny_clip)
    ended = cliplab(*call)
    assert ended.code == 0
    assert "skipped bad.png: an HTML page" in ended.out
    assert cliplab(*call, "--on-bad", "fail").code == 1
    assert cliplab("classify", "bad.png", "-l", "a", "-l", "b", "-e", tiny_clip).code == 1


def test_flags_equal_fields():
    from cliplab.audit import AuditConfig
    from cliplab.classification import ClassifyConfig
    from cliplab.cli.audit import audit
    from cliplab.cli.classify import classify
    from cliplab.cli.draw import draw
    from cliplab.cli.evaluate import evaluate
    from cliplab.cli.train import clip, tokenizer
    from cliplab.drawing_requests import DrawConfig
    from cliplab.encoders.contrastive import ContrastiveConfig
    from cliplab.protocol import EvaluateConfig
    from cliplab.tokenizers.config import TokenizerConfig

    beside = {
        evaluate: {"datasets", "encoder", "csv", "all_classes", "json"},
        classify: {"images", "csv", "json"},
        audit: {"dataset", "encoder", "csv", "report", "json"},
        clip: {"dataset", "out", "home", "json"},
        tokenizer: {"dataset", "out", "evaluate", "json"},
        draw: {"texts", "n", "out", "scale", "json"},
    }
    for command, config in (
        (evaluate, EvaluateConfig),
        (classify, ClassifyConfig),
        (audit, AuditConfig),
        (clip, ContrastiveConfig),
        (tokenizer, TokenizerConfig),
        (draw, DrawConfig),
    ):
        flags = inspect.signature(command).parameters
        fields = {field.name: field for field in dataclasses.fields(config)}
        assert set(flags) - beside[command] == set(fields)
        for name, field in fields.items():
            default = flags[name].default
            if default is None and name != "classifier":
                assert field.default in (None, ())
            elif name != "classifier":
                assert default == field.default, name


def test_every_command_prints_one_json_value_and_nothing_else(cliplab, photos, tiny_clip):
    from cliplab.cli.app import app, register

    register()
    other = shutil.copytree(photos, "other")
    calls = {
        "evaluate": (photos, "-e", tiny_clip, "--out", "runs/a"),
        "compare": ("a",),
        "report": ("a",),
        "transfer": (photos, other, "-e", tiny_clip),
        "audit": (photos, "-e", tiny_clip),
        "runs": (),
        "classify": (photos / "red", "--with", "latest"),
        "embed": (photos, "-e", tiny_clip),
        "datasets": (),
        "prepare": (photos,),
        "encoders": ("RN50",),
        "train clip": (photos, "--epochs", 1, "--batch-size", 8, "--out", "mine"),
    }
    for command in app.registered_commands:
        assert "json" in inspect.signature(command.callback).parameters, command.callback
    for command, arguments in calls.items():
        ended = cliplab(*command.split(), *arguments, "--json")
        assert ended.code == 0, ended.err
        assert isinstance(ended.json(), dict | list), command
        assert "\x1b" not in ended.out + ended.err


@pytest.mark.slow
def test_the_demo_prints_one_json_value_with_its_record(cliplab):
    found = cliplab("demo", "--out", "shown", "--json").json()
    assert Path(found["drawings"]).read_bytes()[:4] == b"\x89PNG"
    assert found["record"]["results"][0]["metrics"]["top1"]["value"] > 0.95
    assert found["answer"]["labels"][0] == "zero"


def test_train_clip_makes_an_encoder_like_any_other(cliplab, photos):
    call = ("train", "clip", photos, "--epochs", 2, "--batch-size", 10, "--out", "mine")
    ended = cliplab(*call, "--device", "cpu")
    assert ended.code == 0, ended.err
    assert "trained on 30 pictures" in ended.out
    again = cliplab(*call, "--device", "cpu", "--json")
    assert again.json()["n_train"] == 30
    assert "finished" in again.err
    record = cliplab("evaluate", photos, "-e", "mine", "--classifier", "zero_shot", "--json").json()
    assert record["encoder"]["width"] == 64
    assert cliplab("train", "clip", photos, "--out", "mine", "--epochs", 3).code == 2
    assert cliplab("train", "clip", photos, "--out", "wide", "--batch-size", 99).code == 1


def test_drawings_are_prepared_with_options_and_evaluated_by_the_name_they_get(
    cliplab, tiny_clip, shared_data, home
):
    folder = shared_data / "quickdraw"
    asked = ("--per-class", 8, "--size", 16)
    done = cliplab("prepare", "quickdraw/raw", "--archives", folder, *asked)
    assert done.code == 0, done.err
    name = "quickdraw/raw@size=16,per-class=8"
    assert done.out.strip() == str(home / "datasets" / name)
    ended = cliplab("evaluate", name, "-e", tiny_clip, "--classifier", "zero_shot", "--json")
    record = ended.json()
    assert record["dataset"]["name"] == name
    assert record["dataset"]["split_origin"] == "hashed"
    refused = cliplab("prepare", "digits", "--size", 16)
    assert refused.code == 2
    assert "digits takes no options for drawings" in refused.err
    several = cliplab("prepare", "quickdraw", "--archives", folder)
    assert several.code == 1
    assert "Say which to read: quickdraw/bitmaps or quickdraw/raw" in several.err


def test_one_npz_is_evaluated_by_its_path(cliplab, tiny_clip, tmp_path):
    import numpy as np

    noise = np.random.default_rng(0).integers(0, 256, (3, 30, 8, 8), dtype=np.uint8)
    np.savez_compressed(tmp_path / "mine.npz", cat=noise[0], dog=noise[1], eel=noise[2])
    ended = cliplab("evaluate", tmp_path / "mine.npz", "-e", tiny_clip, "--json")
    assert ended.code == 0, ended.err
    assert ended.json()["dataset"]["class_names"] == ["cat", "dog", "eel"]


def test_captions_without_classes_are_trained_on_and_not_evaluated(cliplab, photos, tmp_path):
    pictures = sorted(path.relative_to(photos) for path in photos.rglob("*.png"))
    one = tmp_path / "one"
    for number, path in enumerate(pictures):
        (one / "images").mkdir(parents=True, exist_ok=True)
        (one / "images" / f"{number:02d}.png").write_bytes((photos / path).read_bytes())
    lines = [f"images/{i:02d}.png,{text} {i % 7}\n" for i in range(36) for text in ("this", "that")]
    (one / "captions.csv").write_text("picture,caption\n" + "".join(lines))
    options = ("--epochs", 1, "--batch-size", 8, "--device", "cpu")
    ended = cliplab("train", "clip", one, "--out", tmp_path / "clip", *options)
    assert ended.code == 0, ended.err
    refused = cliplab("evaluate", one, "-e", tmp_path / "clip")
    assert refused.code == 1
    assert "has captions and no classes" in refused.err
