"""Fixtures of the whole suite: real data beside the project, a home of its own, a toy encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from jaxtyping import install_import_hook

# Shapes and dtypes that stand in the signatures of the metrics are checked as the suite runs.
install_import_hook("cliplab.metrics", "beartype.beartype")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real pictures kept beside the project; tests that need it are skipped without."""
    if not SHARED.is_dir():
        pytest.skip("the real data beside the project (../shared/data) are not here")
    return SHARED


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    """A CLIPLAB_HOME of the test's own, not yet created; hubs are told to stay offline."""
    place = tmp_path / "home"
    monkeypatch.setenv("CLIPLAB_HOME", str(place))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return place


class ToyEncoder:
    """A seeded random projection of 8x8 pictures that obeys the contract of `nouns.Encoder`."""

    name = "toy"
    logit_scale = 100.0
    logit_bias = 0.0
    width = 16
    feature_width = 24
    resolution = (8, 8)
    device = "cpu"

    def __init__(self, seed: int = 0) -> None:
        import torch

        generator = torch.Generator().manual_seed(seed)
        self.trunk = torch.randn(3 * 8 * 8, self.feature_width, generator=generator)
        self.projection = torch.randn(self.feature_width, self.width, generator=generator)
        self.identity = {"name": self.name, "seed": seed}
        self.encoded = 0  # pictures encoded so far

    def preprocess(self, picture):
        import torch

        pixels = np.asarray(picture.resize(self.resolution), dtype=np.float32) / 255
        return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()

    def encode_pixels(self, pixels):
        from cliplab.nouns import ImageVectors

        self.encoded += len(pixels)
        features = (pixels.flatten(1) - 0.5) @ self.trunk
        return ImageVectors(features @ self.projection, features)

    def encode_texts(self, texts):
        import zlib

        rows = [
            np.random.default_rng(zlib.crc32(t.encode())).normal(size=self.width) for t in texts
        ]
        return np.asarray(rows, dtype=np.float32)


@pytest.fixture
def toy_encoder() -> ToyEncoder:
    return ToyEncoder()


@pytest.fixture
def web():
    """A web server on this machine that misbehaves as told; see `tests/web.py`."""
    from tests.web import Web

    server = Web()
    yield server
    server.close()
