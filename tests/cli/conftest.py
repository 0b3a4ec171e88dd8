"""The command line run in this process, and a tiny CLIP for it to load."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    def json(self):
        return json.loads(self.out)


@pytest.fixture
def cliplab(capsys, monkeypatch, tmp_path):
    """Call `cliplab ARGUMENT...` in an empty working directory."""
    from cliplab.cli import main

    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")

    def call(*arguments: object) -> Ended:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(a) for a in arguments])
        said = capsys.readouterr()
        return Ended(int(stop.value.code or 0), said.out, said.err)

    return call


TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 16, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1},
}


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory) -> Path:
    """Folder of a tiny CLIP with random weights, as `cliplab train clip` would leave it."""
    return make_tiny(tmp_path_factory.mktemp("tiny") / "clip", seed=0)


@pytest.fixture(scope="session")
def other_clip(tmp_path_factory) -> Path:
    """Another one, with other weights."""
    return make_tiny(tmp_path_factory.mktemp("other") / "clip", seed=1)


def make_tiny(folder: Path, seed: int) -> Path:
    import open_clip
    import torch

    from cliplab.encoders.trained import save_trained

    torch.manual_seed(seed)
    model = open_clip.model.CLIP(**TINY)
    preprocess = {"size": [16, 16], "mean": [0.5] * 3, "std": [0.5] * 3}
    save_trained(folder, model.state_dict(), TINY, preprocess, {"made": "for a test"})
    return folder


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> Path:
    """Folder of 3 classes x 12 little pictures, plain colours with noise."""
    return make_photos(tmp_path_factory.mktemp("photos") / "photos")


def make_photos(folder: Path, n: int = 12, seed: int = 0) -> Path:
    from PIL import Image

    generator = np.random.default_rng(seed)
    for name, colour in (("red", (200, 30, 30)), ("green", (30, 200, 30)), ("blue", (30, 30, 200))):
        (folder / name).mkdir(parents=True)
        for i in range(n):
            pixels = np.clip(generator.normal(colour, 40, size=(20, 24, 3)), 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{i:02}.png")
    return folder
