"""Drawings as strokes: `.ndjson` files of Quick, Draw!, one drawing a line, raw or simplified.

A line is a JSON object with at least `word`, `key_id`, `recognized` and `drawing`, a list of
strokes. A stroke is a list of xs and one of ys; in the raw files a list of times in milliseconds
follows, and coordinates are pixels of the player's screen. In the simplified files they lie in
0..255, and points that hardly change a line are left out.

Files are read line by line; what is kept of a drawing is where its line lies.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from cliplab.datasets.grey import grey_png, png_size
from cliplab.datasets.raster import draw_strokes
from cliplab.runtime.errors import DataError
from cliplab.runtime.progress import say

LARGEST_SIDE = 255.0  # of a drawing, in units, as the simplified files have it
FARTHEST = 1e9  # that a coordinate may be
MOST_POINTS = 1_000_000  # of a drawing; a line with more is no drawing


class BadDrawing(ValueError):
    """A line that is no drawing, or one without anything to draw; the message is the reason."""


class StrokeIndex(NamedTuple):
    """Where the drawings of a file lie, n of them in the order of its lines."""

    path: Path
    word: str  # the class, as the lines have it
    is_raw: bool  # with times, in pixels of the player's screen
    keys: list[str]  # n, unique
    offsets: np.ndarray  # (n,) int64, bytes from the start of the file
    lengths: np.ndarray  # (n,) int64, bytes of the line
    unreadable: dict[int, str]  # drawing → why it cannot be drawn
    n_unrecognized: int  # left out, as the game did not recognise them


def index_strokes(path: Path, *, recognized_only: bool, limit: int | None = None) -> StrokeIndex:
    """Find the drawings of a file in one pass over it, a line in memory at a time.

    A drawing with a key that cannot be drawn (no strokes, xs without ys) is listed as unreadable.
    Lines without a key, and the later ones of two with the same key, are passed over, which is said
    on stderr with line numbers.

    Parameters
    ----------
    path
        Of the file.
    recognized_only
        Leave out the drawings that the game did not recognise.
    limit
        Stop at so many drawings. None: take all.

    Raises
    ------
    DataError
        If there is no drawing in it at all, or the file cannot be read.
    """
    found = StrokeIndex(path, "", False, [], np.empty(0), np.empty(0), {}, 0)
    places: list[tuple[int, int]] = []
    passed, seen = _PassedOver(path), set[str]()
    for number, offset, line in _lines(path):
        if limit is not None and len(places) == limit:
            break
        try:
            drawing = _parse(line)
            word, key = _text(drawing, "word"), _text(drawing, "key_id")
            if found.word and word != found.word:
                raise BadDrawing(f"is a drawing of {word!r} among {found.word!r}")
            if key in seen:
                raise BadDrawing(f"has the key {key} of an earlier line")
        except BadDrawing as error:
            passed.add(number, str(error))
            continue
        found = found._replace(word=word)
        if recognized_only and drawing.get("recognized") is False:
            found = found._replace(n_unrecognized=found.n_unrecognized + 1)
            continue
        seen.add(key)
        try:
            is_raw = len(_checked(drawing.get("drawing"))[0]) > 2
            found = found._replace(is_raw=found.is_raw or is_raw)
        except BadDrawing as error:
            found.unreadable[len(places)] = str(error)
        found.keys.append(key)
        places.append((offset, len(line)))
    passed.tell()
    if not places:
        which = " that was recognised" if found.n_unrecognized else ""
        raise DataError(
            f"{path} holds no drawing{which}. Expected a JSON object on each line: "
            '{"word": …, "key_id": …, "recognized": …, "drawing": …}.'
            + (f" First fault: {passed.first}." if passed.first else "")
        )
    offsets, lengths = np.array(places, dtype=np.int64).T
    return found._replace(offsets=offsets, lengths=lengths)


def first_drawing_is_raw(path: Path) -> bool:
    """Whether the first line that is a drawing has times; False where there is none."""
    for _number, _offset, line in _lines(path):
        try:
            return len(_checked(_parse(line).get("drawing"))[0]) > 2
        except BadDrawing:
            continue
    return False


def strokes_of(line: bytes) -> list[np.ndarray]:
    """Give the strokes of a line, each (2, n) float64, in the frame that `draw_strokes` takes.

    Those of a raw drawing are moved to 0 and scaled so that its larger side is 255, which is how
    the simplified files were made; so are coordinates that reach beyond 255.

    Raises
    ------
    BadDrawing
        If the line is no drawing, or there is nothing to draw.
    """
    given = _checked(_parse(line).get("drawing"))
    strokes = [np.array(stroke[:2], dtype=np.float64) for stroke in given]
    points = np.concatenate(strokes, axis=1)
    low, high = points.min(axis=1), points.max(axis=1)
    if len(given[0]) == 2 and high.max() <= LARGEST_SIDE and low.min() >= 0:
        return strokes
    larger = float((high - low).max())
    scale = LARGEST_SIDE / larger if larger > 0 else 1.0
    return [(stroke - low[:, None]) * scale for stroke in strokes]


def _parse(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        reason = "is cut short" if not line.rstrip().endswith(b"}") else f"is no JSON ({error})"
        raise BadDrawing(reason) from error
    if not isinstance(value, dict):
        raise BadDrawing(f"holds {type(value).__name__}, expected an object")
    return value


def _text(drawing: Mapping[str, Any], field: str) -> str:
    value = drawing.get(field)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip() or "/" in value or value in (".", ".."):
        raise BadDrawing(f"has no {field}")
    return value


def _checked(drawing: Any) -> list[list[list[float]]]:
    """Give a drawing's strokes if each is xs and ys (and times) of one length, else the reason."""
    if not isinstance(drawing, list) or not drawing:
        raise BadDrawing("the drawing has no strokes")
    kept = []
    for number, stroke in enumerate(drawing, start=1):
        if not isinstance(stroke, list) or len(stroke) not in (2, 3):
            raise BadDrawing(f"stroke {number} is not a list of xs and one of ys")
        if not all(isinstance(values, list) for values in stroke):
            raise BadDrawing(f"stroke {number} is not a list of xs and one of ys")
        if len(stroke[0]) != len(stroke[1]):
            raise BadDrawing(f"stroke {number} has {len(stroke[0])} xs and {len(stroke[1])} ys")
        if not (_are_coordinates(stroke[0]) and _are_coordinates(stroke[1])):
            raise BadDrawing(f"stroke {number} has coordinates that are no numbers")
        if stroke[0]:
            kept.append(stroke)
    if not kept:
        raise BadDrawing("the strokes have no points")
    if sum(len(stroke[0]) for stroke in kept) > MOST_POINTS:
        raise BadDrawing(f"has more than {MOST_POINTS:,} points")
    return kept


def _are_coordinates(values: list[Any]) -> bool:
    if not values:
        return True
    if not set(map(type, values)) <= {int, float}:
        return False
    if any(value != value for value in values if type(value) is float):  # NaN
        return False
    return bool(min(values) > -FARTHEST and max(values) < FARTHEST)


def _lines(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """Give number, offset and bytes of each line that is not blank."""
    try:
        with path.open("rb") as stream:
            offset = 0
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    yield number, offset, line
                offset += len(line)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error


class _PassedOver:
    """Lines of a file that are no drawings of its class."""

    def __init__(self, path: Path) -> None:
        self.path, self.count, self.shown = path, 0, list[str]()

    @property
    def first(self) -> str:
        return self.shown[0] if self.shown else ""

    def add(self, number: int, reason: str) -> None:
        self.count += 1
        if len(self.shown) < 3:
            self.shown.append(f"line {number} {reason}")

    def tell(self) -> None:
        if self.count:
            more = f" and {self.count - len(self.shown):,} more" if self.count > 3 else ""
            plural = "s" if self.count > 1 else ""
            listing = "; ".join(self.shown)
            say(f"{self.path}: passed over {self.count:,} line{plural}: {listing}{more}")


@dataclass(frozen=True, slots=True, eq=False)
class StrokePictures:
    """The `PictureSource`, `SizedSource` and `PixelSource` of drawings, drawn when asked for.

    A line is read as the iterator advances, and drawn by whoever calls. Rows in the order of the
    files read each of them once.
    """

    indexes: tuple[StrokeIndex, ...]  # one a file
    starts: np.ndarray  # (F + 1,) int64, first row of each file, and N
    size: int  # pixels a side
    is_dark: bool  # dark lines on white; else light on black

    @property
    def paths(self) -> tuple[Path, ...]:
        """File of each class."""
        return tuple(index.path for index in self.indexes)

    @property
    def side(self) -> tuple[int, int]:
        """(H, W) pixels of each picture."""
        return self.size, self.size

    def sizes(self, rows: np.ndarray) -> np.ndarray:
        """(n,) int64, bytes of each of `rows`; 0 where a drawing cannot be drawn."""
        firsts = zip(self.starts.tolist(), self.indexes, strict=False)
        bad = [first + at for first, index in firsts for at in index.unreadable]
        found = np.full(len(rows), png_size(self.size, self.size), dtype=np.int64)
        found[np.isin(rows, bad)] = 0
        return found

    def open(self, rows: Sequence[int]) -> Iterator[Callable[[], bytes]]:
        """For each row, a callable that draws it as PNG; see `nouns.PictureSource`."""
        return (partial(self._png, read) for read in self._lines(rows))

    def pixels(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """(n, H, W) uint8, what the PNGs of `rows` hold; see `nouns.PixelSource`."""
        found = np.empty((len(rows), self.size, self.size), dtype=np.uint8)
        for place, read in enumerate(self._lines(rows)):
            found[place] = self._drawn(read)
        return found

    def _png(self, read: Callable[[], bytes]) -> bytes:
        return grey_png(self._drawn(read))

    def _drawn(self, read: Callable[[], bytes]) -> np.ndarray:
        try:
            ink = draw_strokes(strokes_of(read()), self.size)
        except BadDrawing as error:
            raise OSError(str(error)) from error
        return 255 - ink if self.is_dark else ink

    def _lines(self, rows: Sequence[int] | np.ndarray) -> Iterator[Callable[[], bytes]]:
        """For each row, a callable that gives its line, which has been read already."""
        stream: IO[bytes] | None = None
        current: Path | None = None
        try:
            for row in rows:
                place = self._place(int(row))
                if place.reason is not None:
                    yield partial(_refuse, place.reason)
                    continue
                try:
                    if stream is None or place.path != current:
                        if stream is not None:
                            stream.close()
                        stream, current = place.path.open("rb"), place.path
                    stream.seek(place.offset)
                    yield partial(bytes, stream.read(place.length))
                except OSError as error:
                    yield partial(_refuse, str(error))
        finally:
            if stream is not None:
                stream.close()

    def _place(self, row: int) -> _Place:
        number = int(np.searchsorted(self.starts, row, side="right")) - 1
        index, at = self.indexes[number], row - int(self.starts[number])
        return _Place(
            index.path, int(index.offsets[at]), int(index.lengths[at]), index.unreadable.get(at)
        )


class _Place(NamedTuple):
    path: Path
    offset: int
    length: int
    reason: str | None


def _refuse(reason: str) -> bytes:
    raise OSError(reason)
