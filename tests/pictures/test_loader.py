from __future__ import annotations

import io
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch
from PIL import Image

from cliplab.pictures.loader import batches, default_workers, load_pictures
from cliplab.pictures.unreadable import UnreadablePicture


def encoded(value: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (4, 4), (value, 0, 0)).save(stream, "BMP")
    return stream.getvalue()


class Source:
    """Pictures whose red is their row; odd things happen at the rows named."""

    def __init__(self, **odd):
        self.odd, self.opened, self.lock = odd, 0, threading.Lock()
        self.threads = set()

    def open(self, rows):
        for row in rows:
            self.threads.add(threading.current_thread().name)
            self.opened += 1
            yield lambda row=row: self.read(row)

    def read(self, row):
        time.sleep(0.003 * (row % 3 == 0))  # so that they finish out of order
        if row in self.odd.get("gone", ()):
            raise FileNotFoundError(2, "No such file or directory", f"/somewhere/{row}.png")
        if row in self.odd.get("broken", ()):
            return b"<html>"
        return encoded(row)


def prepare(picture):
    return torch.full((3, 2, 2), float(picture.getpixel((0, 0))[0]))


def alive():
    return [t for t in threading.enumerate() if t.name.startswith("cliplab")]


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert alive() == []


@pytest.mark.parametrize("workers", [1, 4])
def test_pictures_come_in_the_order_asked_for(workers):
    rows = [7, 3, 3, 200, 0, *range(50, 90)]
    loaded = list(load_pictures(Source(), rows, prepare, workers=workers, window=8))
    assert [one.row for one in loaded] == rows
    assert [int(one.pixels[0, 0, 0]) for one in loaded] == rows
    assert {one.reason for one in loaded} == {None}


def test_what_cannot_be_read_comes_with_its_reason_in_its_place():
    def picky(picture):
        if picture.getpixel((0, 0))[0] == 4:
            raise UnreadablePicture("too thin")
        if picture.getpixel((0, 0))[0] == 5:
            raise MemoryError
        return prepare(picture)

    loaded = list(load_pictures(Source(gone=[1], broken=[2]), range(7), picky, workers=2))
    assert [one.row for one in loaded] == list(range(7))
    assert [one.reason for one in loaded] == [
        None,
        "cannot be read: No such file or directory",
        "an HTML page, not a picture (a download that failed?)",
        None,
        "too thin",
        "not enough memory to decode it",
        None,
    ]
    assert [one.pixels is None for one in loaded] == [one.reason is not None for one in loaded]


def test_the_limit_of_pixels_is_passed_on():
    (one,) = load_pictures(Source(), [0], prepare, max_pixels=15)
    assert "4 x 4 pixels" in one.reason


def test_no_more_than_the_window_are_in_flight():
    source, window = Source(), 5
    loaded = load_pictures(source, range(100), prepare, workers=3, window=window)
    for taken, _ in enumerate(loaded, start=1):
        time.sleep(0.001)
        assert source.opened <= taken + window - 1
    assert source.opened == 100


def test_batches_stop_reading_when_nobody_takes_them():
    source = Source()
    stream = batches(source, range(200), prepare, batch_size=10, workers=2)
    next(stream)
    time.sleep(0.3)
    assert source.opened <= 20 + 10 + 4 * 2  # this batch, the next, and those in flight
    stream.close()


def test_pictures_decode_at_the_same_time():
    together = threading.Barrier(3)

    def meet(picture):
        together.wait(timeout=10)
        return prepare(picture)

    assert len(list(load_pictures(Source(), range(6), meet, workers=3))) == 6


def test_workers_default_to_the_usable_cores():
    assert 1 <= default_workers() <= 16


@pytest.mark.parametrize("fault", [ZeroDivisionError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("make", [load_pictures, batches])
def test_a_fault_of_ours_is_raised_not_listed(make, fault):
    def faulty(picture):
        if picture.getpixel((0, 0))[0] == 30:
            raise fault("of ours")
        return prepare(picture)

    more = {"batch_size": 8} if make is batches else {}
    with pytest.raises(fault, match="of ours"):
        list(make(Source(), range(100), faulty, workers=2, **more))


@pytest.mark.parametrize("make", [load_pictures, batches])
def test_a_fault_of_the_source_is_raised(make):
    class Short(Source):
        def open(self, rows):
            yield from super().open(rows[:5])
            raise OSError("the disk is gone")

    more = {"batch_size": 2} if make is batches else {}
    with pytest.raises(OSError, match="the disk is gone"):
        list(make(Short(), range(100), prepare, workers=2, **more))


def test_batches_follow_the_plan_whatever_the_timing():
    source = Source(gone=[0, 9], broken=range(16, 24))
    rows = np.arange(60)
    found = list(batches(source, rows, prepare, batch_size=8, workers=3))
    asked = [rows[k : k + 8].tolist() for k in range(0, 60, 8)]
    assert len(found) == len(asked)
    for batch, given in zip(found, asked, strict=True):
        skipped = [row for row, _ in batch.skipped]
        assert sorted([*batch.rows.tolist(), *skipped]) == given
        assert batch.rows.dtype == np.int64
        if len(batch.rows):
            assert batch.pixels.shape == (len(batch.rows), 3, 2, 2)
            assert batch.pixels.is_contiguous()
            assert batch.pixels[:, 0, 0, 0].tolist() == batch.rows.tolist()
    assert [len(batch.rows) for batch in found] == [7, 7, 0, 8, 8, 8, 8, 4]
    assert found[2].pixels.shape[0] == 0
    assert found[0].skipped == [(0, "cannot be read: No such file or directory")]


def test_one_thread_alone_walks_the_source():
    source = Source()
    assert len(list(batches(source, range(40), prepare, batch_size=8, workers=3))) == 5
    assert len(source.threads) == 1


def test_nothing_asked_for_gives_nothing():
    assert list(load_pictures(Source(), [], prepare)) == []
    assert list(batches(Source(), [], prepare, batch_size=4)) == []


def test_each_batch_has_memory_of_its_own():
    first, second = batches(Source(), range(8), prepare, batch_size=4)
    first.pixels.zero_()
    assert second.pixels[:, 0, 0, 0].tolist() == [4, 5, 6, 7]


@pytest.mark.parametrize("make", [load_pictures, batches])
def test_closing_stops_the_threads_at_once(make):
    begun = []

    def slow(picture):
        begun.append(picture)
        time.sleep(0.05)
        return prepare(picture)

    more = {"batch_size": 20} if make is batches else {}
    stream = make(Source(), range(10_000), slow, workers=2, **more)
    next(stream)
    before = len(begun)
    stream.close()  # with a whole batch still to be made
    assert len(begun) <= before + 4  # those in hand, not the 20 of the next batch
    assert alive() == []


def test_an_exception_in_the_consumer_stops_the_threads():
    def consume():
        for batch in batches(Source(), range(200), prepare, batch_size=4, workers=2):
            if batch.rows[0] == 8:
                raise RuntimeError("the encoder failed")

    with pytest.raises(RuntimeError):
        consume()


def test_the_number_of_torch_threads_stays_as_it_was():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        inside, seen = [], []

        def counted(picture):
            inside.append(torch.get_num_threads())
            return prepare(picture)

        list(batches(Source(), range(40), counted, batch_size=8, workers=3))
        thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert (set(inside), seen, torch.get_num_threads()) == ({1}, [3], 3)
    finally:
        torch.set_num_threads(before)


def test_control_c_ends_a_run_that_waits_for_pictures():
    code = """
import os, signal, threading, time
import torch
from cliplab.pictures import loader
import io
from PIL import Image
stream = io.BytesIO(); Image.new("RGB", (2, 2)).save(stream, "BMP")
read = []
def reading():
    read.append(1)
    if len(read) == 10:
        os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.1)
    return stream.getvalue()
class Source:
    def open(self, rows):
        for row in rows:
            yield reading
try:
    pixels = lambda picture: torch.zeros(3, 2, 2)
    for batch in loader.batches(Source(), range(5000), pixels, batch_size=1000, workers=2):
        raise AssertionError("too early")
except KeyboardInterrupt:
    print("stopped", threading.active_count(), len(read) < 100)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert run.stdout.split() == ["stopped", "1", "True"], run.stderr
