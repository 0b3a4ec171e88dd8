"""Grey pictures in NumPy's files: `.npy` of one class, `.npz` of one array a class.

A `.npy` and what an `.npz` holds uncompressed are mapped, so that millions of pictures take no
memory; what it holds compressed is unpacked when it is asked for, class by class.
"""

from __future__ import annotations

import threading
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import isqrt, prod
from pathlib import Path
from typing import IO, Literal, NamedTuple

import numpy as np

from cliplab.datasets.grey import grey_png, png_size
from cliplab.runtime.errors import DataError

MOST_OPEN = 32  # arrays mapped at once
MOST_UNPACKED = 2 << 30  # bytes of unpacked arrays that are kept


class ClassArray(NamedTuple):
    """Where the pictures of one class lie."""

    path: Path
    name: str  # the file's stem, or the array's name in an .npz
    rows: int  # that are taken, from the first
    side: tuple[int, int]  # (H, W) pixels
    shape: tuple[int, ...]  # as stored: (N, H, W) or (N, H W)
    is_fortran: bool
    offset: int | None  # bytes before the first pixel; None: compressed in `member`
    member: str | None = None  # of an .npz


def find_arrays(path: Path) -> list[ClassArray]:
    """Give the arrays of a `.npy` or `.npz`; only headers are read.

    Raises
    ------
    DataError
        If it is cut short, no such file, or holds anything but (N, H, W) or (N, side²) uint8.
    """
    try:
        if path.suffix.lower() == ".npy":
            with path.open("rb") as stream:
                return [_array(stream, path, path.stem, path.stat().st_size)]
        return _in_npz(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error


def _in_npz(path: Path) -> list[ClassArray]:
    found = []
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                name = info.filename.removesuffix(".npy")
                with archive.open(info) as stream:
                    array = _array(stream, path, name, info.file_size)
                place = array.offset
                if info.compress_type == zipfile.ZIP_STORED and place is not None:
                    place += _data_offset(path, info)
                else:
                    place = None
                found.append(array._replace(offset=place, member=info.filename))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is cut short or no .npz ({error}). Fetch it again.") from error
    if not found:
        raise DataError(f"{path} holds no arrays; expected one of each class.")
    return found


def _data_offset(path: Path, info: zipfile.ZipInfo) -> int:
    """Where a member's bytes begin: behind its local header, whose length is its own."""
    with path.open("rb") as stream:
        stream.seek(info.header_offset + 26)
        lengths = stream.read(4)
    return (
        info.header_offset
        + 30
        + int.from_bytes(lengths[:2], "little")
        + int.from_bytes(lengths[2:], "little")
    )


def _array(stream: IO[bytes], path: Path, name: str, size: int) -> ClassArray:
    """Read the header of an array of `size` bytes with it."""
    where = f"{path}: array {name!r}" if path.suffix.lower() == ".npz" else str(path)
    try:
        version = np.lib.format.read_magic(stream)
        read = {(1, 0): np.lib.format.read_array_header_1_0}.get(
            version, np.lib.format.read_array_header_2_0
        )
        shape, is_fortran, dtype = read(stream)
    except ValueError as error:
        raise DataError(f"{where} is no NumPy array ({error}). Fetch it again.") from error
    side = _side(shape)
    if dtype != np.uint8 or side is None:
        raise DataError(
            f"{where} has shape {shape} of {dtype}; expected grey pictures, (N, H, W) or "
            "(N, side²) of uint8."
        )
    header = stream.tell()
    if size < header + prod(shape):
        raise DataError(
            f"{where} is cut short: {size:,} bytes, expected {header + prod(shape):,} for "
            f"{shape[0]:,} pictures. Fetch it again."
        )
    return ClassArray(path, name, shape[0], side, shape, is_fortran, header)


def _side(shape: tuple[int, ...]) -> tuple[int, int] | None:
    if len(shape) == 3 and min(shape[1:]) > 0:
        return shape[1], shape[2]
    if len(shape) == 2 and shape[1] > 0 and isqrt(shape[1]) ** 2 == shape[1]:
        return isqrt(shape[1]), isqrt(shape[1])
    return None


@dataclass(slots=True, eq=False)
class _Opened:
    """Arrays in use, the latest last; safe in several threads."""

    arrays: OrderedDict[int, np.ndarray] = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, number: int, array: ClassArray) -> np.ndarray:
        with self.lock:
            if number not in self.arrays:
                self.arrays[number] = _load(array)
            self.arrays.move_to_end(number)
            while len(self.arrays) > 1 and self._is_full():
                self.arrays.popitem(last=False)
            return self.arrays[number]

    def _is_full(self) -> bool:
        mapped = [array for array in self.arrays.values() if isinstance(array, np.memmap)]
        unpacked = sum(a.nbytes for a in self.arrays.values() if not isinstance(a, np.memmap))
        return len(mapped) > MOST_OPEN or unpacked > MOST_UNPACKED


def _load(array: ClassArray) -> np.ndarray:
    """(N, H, W) uint8, mapped or unpacked; an `OSError` if it can no longer be read."""
    order: Literal["F", "C"] = "F" if array.is_fortran else "C"
    try:
        found: np.ndarray
        if array.offset is not None:
            found = np.memmap(
                array.path, np.uint8, "r", offset=array.offset, shape=array.shape, order=order
            )
        else:
            assert array.member is not None
            with zipfile.ZipFile(array.path) as archive, archive.open(array.member) as stream:
                found = np.lib.format.read_array(stream, allow_pickle=False)
    except (ValueError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise OSError(f"{array.path}: {array.name!r} can no longer be read ({error})") from error
    return found.reshape(array.shape[0], *array.side)


@dataclass(frozen=True, slots=True, eq=False)
class ArrayPictures:
    """The `PictureSource`, `SizedSource` and `PixelSource` of pictures in arrays, a class each."""

    arrays: tuple[ClassArray, ...]  # all of one side
    starts: np.ndarray  # (A + 1,) int64, first row of each array, and N
    is_inverted: bool  # whether white becomes black
    opened: _Opened = field(default_factory=_Opened)

    @property
    def paths(self) -> tuple[Path, ...]:
        """File of each class."""
        return tuple(array.path for array in self.arrays)

    @property
    def side(self) -> tuple[int, int]:
        """(H, W) pixels of each picture."""
        return self.arrays[0].side

    def sizes(self, rows: np.ndarray) -> np.ndarray:
        """(n,) int64, bytes of each of `rows` as PNG."""
        return np.full(len(rows), png_size(*self.side), dtype=np.int64)

    def open(self, rows: Sequence[int]) -> Iterator[Callable[[], bytes]]:
        """For each row, a callable that gives its PNG; see `nouns.PictureSource`."""
        asked = np.asarray(rows, dtype=np.int64)
        numbers = np.searchsorted(self.starts, asked, side="right") - 1
        places = asked - self.starts[numbers]
        pairs = zip(numbers.tolist(), places.tolist(), strict=True)
        return (partial(self._png, number, place) for number, place in pairs)

    def pixels(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """(n, H, W) uint8, what the PNGs of `rows` hold; see `nouns.PixelSource`."""
        asked = np.asarray(rows, dtype=np.int64)
        found = np.empty((len(asked), *self.side), dtype=np.uint8)
        numbers = np.searchsorted(self.starts, asked, side="right") - 1
        for number in np.unique(numbers).tolist():
            places = np.flatnonzero(numbers == number)
            array = self.opened.get(number, self.arrays[number])
            found[places] = array[asked[places] - self.starts[number]]
        if self.is_inverted:
            np.subtract(255, found, out=found)
        return found

    def _png(self, number: int, place: int) -> bytes:
        found = self.opened.get(number, self.arrays[number])[place]
        return grey_png(255 - found if self.is_inverted else found)
