from __future__ import annotations

import contextlib
import dataclasses
import json
import random
import warnings

import pytest
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from cliplab.pictures.decode import decode
from cliplab.pictures.preprocessing import Preprocessing
from cliplab.pictures.unreadable import UnreadablePicture
from cliplab.runtime.errors import UsageError


@pytest.fixture(autouse=True)
def one_thread():
    """On a busy machine, PyTorch's threads wait for each other at every small tensor."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


CONFIGS = [
    PreprocessCfg(),
    PreprocessCfg(size=(64, 96), interpolation="bilinear", resize_mode="longest", fill_color=127),
    PreprocessCfg(size=(96, 64), resize_mode="shortest", mean=(0.5,) * 3, std=(0.5,) * 3),
    PreprocessCfg(size=48, resize_mode="squash", interpolation="random"),
]


def picture(size=(70, 50), seed=0):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randint(0, 256, (size[1], size[0], 3), generator=generator, dtype=torch.uint8)
    return Image.fromarray(values.numpy())


@pytest.mark.parametrize("config", CONFIGS)
def test_the_transform_is_open_clips_own(config):
    prepare = Preprocessing.from_open_clip(config).transform()
    theirs = image_transform_v2(config, is_train=False)
    for size in ((70, 50), (300, 20), (5, 5), (224, 224)):
        pixels = prepare(picture(size))
        assert pixels.dtype == torch.float32
        assert torch.equal(pixels, theirs(picture(size)))


def test_fields_are_those_of_open_clip():
    ours = {field.name for field in dataclasses.fields(Preprocessing)}
    assert ours == {field.name for field in dataclasses.fields(PreprocessCfg)} - {"mode"}
    defaults = Preprocessing.from_open_clip(PreprocessCfg())
    assert defaults == Preprocessing() == Preprocessing.from_open_clip({})


def test_a_mapping_may_hold_lists_single_numbers_none_and_more():
    given = {"size": 32, "mean": [0.5], "std": 0.25, "interpolation": None, "mode": "RGB"}
    assert Preprocessing.from_open_clip(given) == Preprocessing(
        size=(32, 32), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)
    )
    assert Preprocessing.from_open_clip({"size": [24, 32]}).size == (24, 32)


def test_identity_survives_json_and_tells_settings_apart():
    identities = [Preprocessing.from_open_clip(config).identity() for config in CONFIGS]
    for identity in identities:
        assert json.loads(json.dumps(identity)) == identity
        assert Preprocessing.from_open_clip(identity).identity() == identity
    assert len({json.dumps(identity) for identity in identities}) == len(CONFIGS)


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": (0, 224)},
        {"size": (224,)},
        {"mean": (0.5, 0.5)},
        {"std": (1.0, 0.0, 1.0)},
        {"interpolation": "nearest"},
        {"resize_mode": "crop"},
    ],
)
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(UsageError, match="Preprocessing"):
        Preprocessing(**wrong)


@pytest.mark.parametrize("mode", ["shortest", "longest"])
@pytest.mark.parametrize("size", [(60_000, 1), (1, 60_000)])
def test_a_picture_too_thin_to_resize_is_refused_before_it_takes_memory(mode, size):
    prepare = Preprocessing(resize_mode=mode).transform()
    with pytest.raises(UnreadablePicture, match="too thin to be resized to 224 x 224"):
        prepare(Image.new("RGB", size))


@contextlib.contextmanager
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def check_whole_path(files, config):
    prepare = Preprocessing.from_open_clip(config).transform()
    theirs = image_transform_v2(config, is_train=False)
    whole = 0
    for file in files:
        try:
            seen = decode(file.read_bytes())
        except UnreadablePicture:
            continue
        pixels = prepare(seen)
        assert torch.equal(pixels, theirs(seen)), file
        with quiet(), Image.open(file) as opened:
            upright = opened.getexif().get(0x0112, 1) in (0, 1)
            if opened.mode in ("RGB", "L") and upright and not opened.has_transparency_data:
                assert torch.equal(pixels, theirs(opened)), file
                whole += 1
    return whole


def files_under(shared_data, *folders):
    found = [f for folder in folders for f in sorted((shared_data / folder).rglob("*"))]
    return [f for f in found if f.suffix.lower() in (".jpg", ".jpeg", ".png", ".tif", ".gif")]


def test_real_pictures_go_through_as_through_open_clip(shared_data):
    files = files_under(shared_data, "caltech101", "pacs", "clip/golden")
    assert check_whole_path(random.Random(1).sample(files, 40), PreprocessCfg()) > 30
    odd = files_under(shared_data, "odd_images")
    assert check_whole_path(odd, PreprocessCfg(size=64)) > 40


@pytest.mark.slow
def test_all_real_pictures_go_through_as_through_open_clip(shared_data):
    files = files_under(shared_data, "caltech101", "pacs", "clip/golden", "odd_images")
    assert check_whole_path(files, PreprocessCfg()) > 700
