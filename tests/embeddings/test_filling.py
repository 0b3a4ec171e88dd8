"""That reading runs ahead of the encoder, also from one part to the next."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from cliplab.embeddings.extract import ExtractConfig, fill
from cliplab.embeddings.filling import Begun


def test_the_next_part_is_being_read_while_this_one_is_encoded(
    make_dataset, toy_encoder, home, small_parts, monkeypatch
):
    prepared, ahead = [], threading.Event()
    prepare, encode = toy_encoder.preprocess, toy_encoder.encode_pixels

    def watched(picture):
        prepared.append(1)
        if len(prepared) > small_parts:
            ahead.set()
        return prepare(picture)

    def patient(pixels):
        assert ahead.wait(timeout=20), "nothing of the next part was read"
        return encode(pixels)

    monkeypatch.setattr(toy_encoder, "preprocess", watched)
    monkeypatch.setattr(toy_encoder, "encode_pixels", patient)
    config = ExtractConfig(batch_size=small_parts, workers=1)
    assert fill(make_dataset(30), toy_encoder, config=config, home=home).n_encoded == 30


def test_first_item_is_fetched_at_once_and_order_kept():
    started = []

    def stream():
        started.append(True)
        yield from (1, 2, 3)

    with ThreadPoolExecutor(1) as pool:
        begun = Begun(stream(), pool)
        pool.submit(int).result()
        assert started
        assert list(begun) == [1, 2, 3]


def test_failure_of_the_stream_reaches_the_reader_and_closing_is_safe():
    def stream():
        yield 1
        raise OSError("gone")

    with ThreadPoolExecutor(1) as pool:
        begun = Begun(stream(), pool)
        with pytest.raises(OSError, match="gone"):
            list(begun)
        begun.close()
        Begun(stream(), pool).close()
