"""Pictures read ahead: in order, verified, bounded by count and by bytes, ended at once."""

from __future__ import annotations

import hashlib
import threading

import numpy as np
import pytest

from cliplab.datasets import reading
from cliplab.datasets.reading import read_ahead


def test_in_order_hashed_and_verified(make_png, pictures_in_memory):
    contents = [make_png(i) for i in range(50)]
    contents[7], contents[9], contents[11] = None, contents[9][:-30], b"<html>302 Found</html>"
    rows = [*range(50), 7, 3]
    found = list(read_ahead(pictures_in_memory(contents), rows, workers=3))
    assert [read.content for read in found] == [contents[row] for row in rows]
    digests = [hashlib.sha256(contents[r]).hexdigest() if contents[r] else "" for r in rows]
    assert [read.digest for read in found] == digests
    bad = {row: read.reason for row, read in zip(rows, found, strict=True) if read.reason}
    assert bad == {
        7: "cannot be read: gone",
        9: "truncated: the file ends before the picture does",
        11: "an HTML page, not a picture (a download that failed?)",
    }


class Watched:
    """Notes how far reading is ahead of what was handed out, and which thread asks."""

    def __init__(self, count, content=b"x"):
        self.count, self.content = count, content
        self.asked, self.threads, self.closed = 0, set(), False

    def open(self, rows):
        try:
            for _row in rows:
                self.asked += 1
                self.threads.add(threading.get_ident())
                yield lambda: self.content
        finally:
            self.closed = True


def test_what_is_in_flight_is_bounded_by_count():
    source, most = Watched(1000), 0
    for number, _read in enumerate(read_ahead(source, range(1000), workers=2)):
        most = max(most, source.asked - number)
    assert most <= 2 * reading.MOST_EACH + 2
    assert len(source.threads) == 1


def test_and_by_bytes(monkeypatch):
    monkeypatch.setattr(reading, "MOST_BYTES", 100)
    source, most = Watched(200), 0
    sizes = np.full(200, 40)
    sizes[50] = 1000  # larger than all that may be in flight: alone
    for number, _read in enumerate(read_ahead(source, range(200), sizes, workers=8)):
        most = max(most, source.asked - number)
    assert most <= 4
    assert source.asked == 200


def test_leaving_early_ends_the_threads_and_the_source():
    before = threading.active_count()
    source = Watched(1000)
    reads = read_ahead(source, range(1000), workers=2)
    next(reads)
    reads.close()
    assert threading.active_count() == before
    assert source.asked < 100


def test_what_else_goes_wrong_is_raised():
    class Broken:
        def open(self, rows):
            yield lambda: b""
            raise RuntimeError("a fault of the source")

    with pytest.raises(RuntimeError, match="a fault of the source"):
        list(read_ahead(Broken(), range(2), workers=1))
