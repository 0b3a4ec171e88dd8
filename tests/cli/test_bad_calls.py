"""Every wrong call ends with exit code 1 or 2 and a message that says what to do."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest
from tests.cli.conftest import make_photos


def check(ended, code, *words):
    assert ended.code == code, (ended.out, ended.err)
    assert "Traceback" not in ended.err
    for word in words:
        assert word in ended.err, ended.err


def test_unknown_data_set(cliplab, tiny_clip):
    check(cliplab("evaluate", "digit", "-e", tiny_clip), 2, "digit", "Did you mean 'digits'")


def test_unknown_task(cliplab, tiny_clip):
    check(cliplab("evaluate", "digits:genre", "-e", tiny_clip), 2, "task 'genre'", "Known: digit")


def test_unknown_encoder_and_tag(cliplab, photos):
    check(cliplab("evaluate", photos, "-e", "ViT-B-33/openai"), 2, "Did you mean 'ViT-B-32'")
    check(cliplab("evaluate", photos, "-e", "ViT-B-32/opnai"), 2, "Did you mean 'openai'")


def test_published_weights_that_are_not_here(cliplab, photos):
    check(cliplab("evaluate", photos), 1, "ViT-B-32/openai", "--weights FILE", "cache folder")


def test_an_encoder_folder_that_holds_none(cliplab, photos, tmp_path):
    check(cliplab("evaluate", photos, "-e", tmp_path), 2, "holds no encoder", "cliplab train clip")


def test_unknown_classifier(cliplab, photos, tiny_clip):
    ended = cliplab("evaluate", photos, "-e", tiny_clip, "--classifier", "linear_prob")
    check(ended, 2, "Did you mean 'linear_probe'")


def test_an_empty_folder(cliplab, tiny_clip):
    Path("empty").mkdir()
    check(cliplab("evaluate", "empty", "-e", tiny_clip), 1, "holds no pictures", "class")


def test_one_class_alone(cliplab, photos, tiny_clip):
    shutil.copytree(photos / "red", "one/red")
    check(cliplab("evaluate", "one", "-e", tiny_clip), 1, "one class", "red")


def test_a_class_without_training_pictures(cliplab, photos, tiny_clip):
    for split, names in (("train", ("red", "green")), ("test", ("red", "green", "blue"))):
        for name in names:
            shutil.copytree(photos / name, f"split/{split}/{name}")
    check(cliplab("evaluate", "split", "-e", tiny_clip), 1, "blue", "--classifier zero_shot")
    way_out = cliplab("evaluate", "split", "-e", tiny_clip, "--classifier", "zero_shot")
    assert way_out.code == 0, way_out.err


def test_a_corrupt_parquet(cliplab, tiny_clip, home):
    assert cliplab("prepare", "digits").code == 0
    folder = home / "datasets" / "digits"
    shard = sorted((folder / "data").glob("*.parquet"))[0]
    shard.write_bytes(shard.read_bytes()[:1000])
    check(cliplab("evaluate", folder, "-e", tiny_clip), 1, shard.name)


def test_options_that_do_not_go_together(cliplab, photos, tiny_clip):
    run = ("evaluate", photos, "-e", tiny_clip)
    check(cliplab(*run, "--split", "all"), 2, "--classifier zero_shot")
    check(cliplab(*run, "--prompt", "a {}", "--prompts", "simple"), 2, "--prompt")
    check(cliplab(*run, "--prompt", "no class in it"), 2, "{}")
    check(cliplab(*run, "--prompts", "nosuch"), 2, "nosuch")
    check(cliplab(*run, "--on-bad", "ignore"), 2, "list or fail")
    check(cliplab(*run, "--features", "mid"), 2, "pre or post")
    check(cliplab(*run, "--c", "-1"), 2, "positive")
    check(cliplab(*run, "--device", "cuda"), 2, "--device cpu")
    check(cliplab(*run, "--precision", "fp16", "--device", "cpu"), 2, "bf16")
    check(cliplab(*run, "--batch-size", "0"), 2)
    check(cliplab("evaluate"), 2)


def test_a_classes_file_of_another_length(cliplab, photos, tiny_clip):
    Path("names.txt").write_text("one\ntwo\n")
    ended = cliplab("evaluate", photos, "-e", tiny_clip, "--classes", "names.txt")
    check(ended, 2, "2 class names", "3 classes")


def test_a_full_disk_leaves_what_was_there(cliplab, photos, tiny_clip, monkeypatch, tmp_path):
    assert cliplab("evaluate", photos, "-e", tiny_clip, "--out", "run").code == 0
    before = {p.name: p.read_bytes() for p in Path("run").iterdir()}
    grown = make_photos(tmp_path / "grown", n=14, seed=1)

    def full(_handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    ended = cliplab("evaluate", grown, "-e", tiny_clip, "--out", "run")
    check(ended, 1, "The disk is full", "--home DIR")
    assert {p.name: p.read_bytes() for p in Path("run").iterdir()} == before


def test_a_home_that_cannot_be_written(cliplab, photos, tiny_clip, monkeypatch):
    real = Path.mkdir

    def refuse(self, *args, **more):
        if "sealed" in self.parts:
            raise OSError(errno.EROFS, "Read-only file system", str(self))
        return real(self, *args, **more)

    monkeypatch.setattr(Path, "mkdir", refuse)
    ended = cliplab("evaluate", photos, "-e", tiny_clip, "--home", "/sealed/home")
    check(ended, 1, "read-only", "--home DIR")


def test_a_file_in_the_place_of_the_home(cliplab, photos, tiny_clip):
    Path("home").write_text("")
    ended = cliplab("evaluate", photos, "-e", tiny_clip, "--home", "home")
    check(ended, 1, "--home DIR")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\x80\x04\x95"])
def test_a_weights_file_that_is_none(cliplab, photos, content):
    Path("weights.pt").write_bytes(content)
    check(cliplab("evaluate", photos, "-e", "RN50/openai", "--weights", "weights.pt"), 1, "weights")


def test_compare_refuses_other_test_sets(cliplab, photos, tiny_clip, tmp_path):
    other = make_photos(tmp_path / "other", n=9, seed=5)
    for folder, run in ((photos, "a"), (other, "b")):
        assert cliplab("evaluate", folder, "-e", tiny_clip, "--out", run).code == 0
    check(cliplab("compare", "a", "b"), 1, "test set")
    check(cliplab("compare", "a", "nosuch"), 2, "nosuch")


def test_classify_wants_captions_or_a_run(cliplab, photos, tiny_clip):
    picture = photos / "red" / "00.png"
    check(cliplab("classify", picture, "-e", tiny_clip), 2, "--label", "--with RUN")
    check(cliplab("classify", picture, "-l", "a", "--with", "x"), 2, "--with RUN")
    check(cliplab("classify", picture, "--with", "latest"), 1, "cliplab evaluate DATASET")
    check(cliplab("classify", "nosuch.png", "-l", "a", "-l", "b"), 2, "nosuch.png")
