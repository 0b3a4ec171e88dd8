"""Without a network, weights that are not here are said at once to be missing, with the way out."""

from __future__ import annotations

import socket
import threading

import pytest

from cliplab.encoders import published
from cliplab.encoders.open_clip import load_encoder
from cliplab.runtime.errors import MissingWeights


@pytest.fixture(autouse=True)
def no_caches(tmp_path, monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(published, "OPENAI_CACHE", tmp_path / "clip")
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def refused(monkeypatch):
    """Every connection is refused; gives the addresses that were tried."""
    tried = []

    def refuse(address, *_args, **_more):
        tried.append(address)
        raise ConnectionRefusedError("refused")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    return tried


def the_way_out(tmp_path):
    with pytest.raises(MissingWeights) as caught:
        load_encoder("ViT-B-32/openai")
    told = str(caught.value)
    for part in (
        "ViT-B-32/openai are not on this machine",
        "open_clip_model.safetensors of timm/vit_base_patch32_clip_224.openai",
        str(tmp_path / "hub"),
        "ViT-B-32.pt",
        str(tmp_path / "clip"),
        "--encoder ViT-B-32/openai --weights FILE",
    ):
        assert part in told


def test_offline_by_the_hub_s_own_variable(tmp_path, refused):
    the_way_out(tmp_path)
    assert not refused  # not even tried


def test_offline_because_nothing_answers(tmp_path, refused, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    the_way_out(tmp_path)
    assert refused == [("huggingface.co", 443)]


def test_a_name_that_is_looked_up_for_ever_is_left_behind(monkeypatch):
    never, ended = threading.Event(), []

    def wait(*_args, **_more):
        never.wait(60)
        ended.append(True)
        raise OSError

    monkeypatch.setattr(socket, "create_connection", wait)
    monkeypatch.setattr(published, "_PATIENCE", 0.1)
    assert not published.hub_answers()
    assert not ended
    never.set()


@pytest.mark.parametrize(
    ("variables", "asked"),
    [
        ({"HTTPS_PROXY": "http://proxy.example:3128"}, ("proxy.example", 3128)),
        ({"https_proxy": "proxy.example:8080"}, ("proxy.example", 8080)),
        (
            {"HTTPS_PROXY": "http://a.example", "NO_PROXY": "huggingface.co"},
            ("huggingface.co", 443),
        ),
        ({"HF_ENDPOINT": "http://mirror.example"}, ("mirror.example", 80)),
    ],
)
def test_the_proxy_or_the_mirror_is_asked(monkeypatch, refused, variables, asked):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert not published.hub_answers()
    assert refused == [asked]


def test_a_tokenizer_of_a_hub_is_looked_for_in_its_cache_alone(tiny_folder, monkeypatch, refused):
    import open_clip

    config = {"text_cfg": {"hf_tokenizer_name": "owner/name"}}
    encoder = load_encoder(tiny_folder("vit"))
    monkeypatch.setattr(open_clip, "get_model_config", lambda _: config)
    seen = []
    monkeypatch.setattr(open_clip, "get_tokenizer", lambda *_, **more: seen.append(more) or len)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    assert encoder._tokenizer
    assert seen == [{"local_files_only": True}]


def test_a_download_that_fails_names_the_way_out(tmp_path, monkeypatch, capsys):
    import open_clip

    def fail(settings):
        raise OSError("connection reset")

    monkeypatch.setattr(published, "_reachable", lambda settings: True)
    monkeypatch.setattr(open_clip, "download_pretrained", fail)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    with pytest.raises(MissingWeights, match=r"download failed: connection reset.*--weights FILE"):
        load_encoder("ViT-B-32/openai")


def test_weights_in_openai_s_cache_are_taken(tmp_path):
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip" / "ViT-B-32.pt").touch()
    settings = published.tag_settings("ViT-B-32", "openai")
    assert published.find_weights("ViT-B-32/openai", settings) == tmp_path / "clip" / "ViT-B-32.pt"


@pytest.mark.network
def test_the_published_numbers_of_the_readme(shared_data, monkeypatch):
    """CLIP's README: CLIP.png is "a diagram" with probability .9928 (openai/CLIP, README.md)."""
    import huggingface_hub.constants
    import numpy as np

    monkeypatch.undo()
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    golden = shared_data / "clip" / "golden"
    captions = ["a diagram", "a dog", "a cat"]
    encoder = load_encoder("ViT-B-32/openai", device="cpu")
    found = encoder.similarity([golden / "CLIP.png"], captions)[0]
    assert found == pytest.approx([0.9928, 0.0042, 0.0030], abs=1e-4)
    image, texts = encoder.encode_images([golden / "CLIP.png"]), encoder.encode_texts(captions)
    np.testing.assert_allclose(image, np.load(golden / "image_features.npy"), atol=2e-3)
    np.testing.assert_allclose(texts, np.load(golden / "text_features.npy"), atol=2e-3)
