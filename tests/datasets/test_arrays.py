"""Pictures in NumPy's files: mapped or unpacked, in any order, and what is wrong is said."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from cliplab.datasets import arrays
from cliplab.datasets.arrays import ArrayPictures, find_arrays
from cliplab.datasets.shards import SizedSource
from cliplab.nouns import PixelSource
from cliplab.runtime.errors import DataError


def noise(n: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 256, (n, *shape), dtype=np.uint8)


def source(*paths, is_inverted=False):
    found = tuple(array for path in paths for array in find_arrays(path))
    return ArrayPictures(found, np.cumsum([0, *(array.rows for array in found)]), is_inverted)


def save(path, form, **classes):
    """Write classes as `.npy` files, or one `.npz`; give what to read."""
    if form == "npy":
        for name, values in classes.items():
            np.save(path / f"{name}.npy", values)
        return [path / f"{name}.npy" for name in classes]
    {"npz": np.savez, "npz, compressed": np.savez_compressed}[form](path / "all.npz", **classes)
    return [path / "all.npz"]


@pytest.mark.parametrize("form", ["npy", "npz", "npz, compressed"])
@pytest.mark.parametrize("as_stored", ["(N, H, W)", "(N, side²)", "Fortran's order"])
def test_pictures_come_in_any_order_as_png_and_as_pixels(tmp_path, form, as_stored):
    classes = {"cat": noise(5, 6, 6), "a dog": noise(4, 6, 6)}
    stored = {
        name: {
            "(N, H, W)": values,
            "(N, side²)": values.reshape(len(values), -1),
            "Fortran's order": np.asfortranarray(values),
        }[as_stored]
        for name, values in classes.items()
    }
    paths = save(tmp_path, form, **stored)
    pictures = source(*paths)
    assert [array.name for array in pictures.arrays] == ["cat", "a dog"]
    assert isinstance(pictures, SizedSource)
    assert isinstance(pictures, PixelSource)
    everything = np.concatenate(list(classes.values()))
    rows = [8, 0, 4, 5, 5, 1]
    assert np.array_equal(pictures.pixels(rows), everything[rows])
    contents = [read() for read in reversed(list(pictures.open(rows)))][::-1]
    decoded = np.array([np.asarray(Image.open(io.BytesIO(content))) for content in contents])
    assert np.array_equal(decoded, everything[rows])
    assert list(pictures.sizes(np.array(rows))) == [len(content) for content in contents]
    inverted = source(*paths, is_inverted=True)
    assert np.array_equal(inverted.pixels(np.array(rows)), 255 - everything[rows])
    (read,) = inverted.open([8])
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(read()))), 255 - everything[8])
    assert pictures.pixels([]).shape == (0, 6, 6)


def test_only_so_many_are_mapped_or_kept_unpacked(tmp_path, monkeypatch):
    classes = {f"c{i}": noise(3 + i, 4, 4) for i in range(5)}
    monkeypatch.setattr(arrays, "MOST_OPEN", 2)
    monkeypatch.setattr(arrays, "MOST_UNPACKED", 200)
    everything = np.concatenate(list(classes.values()))
    for form in ("npy", "npz, compressed"):
        pictures = source(*save(tmp_path, form, **classes))
        for _ in range(2):
            assert np.array_equal(pictures.pixels(range(len(everything))), everything)
        opened = pictures.opened.arrays
        assert 1 <= len(opened) <= 2
        assert all(isinstance(array, np.memmap) for array in opened.values()) == (form == "npy")


def test_a_mapped_file_is_not_read_into_memory(tmp_path):
    np.save(tmp_path / "cat.npy", noise(9, 5, 5))
    pictures = source(tmp_path / "cat.npy")
    pictures.pixels([3])
    (array,) = pictures.opened.arrays.values()
    assert isinstance(array, np.memmap)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (noise(3, 5), r"shape \(3, 5\) of uint8; expected grey pictures"),
        (noise(3, 2, 2).astype(np.float32), r"shape \(3, 2, 2\) of float32"),
        (noise(3, 2, 2, 2), r"shape \(3, 2, 2, 2\)"),
        (np.uint8(3), r"shape \(\)"),
        (noise(3, 0, 4), r"shape \(3, 0, 4\)"),
        (np.array([{"a": 1}], dtype=object), r"shape \(1,\) of object"),
    ],
)
def test_what_is_no_grey_picture_is_refused_by_name(tmp_path, values, message):
    np.save(tmp_path / "cat.npy", values, allow_pickle=True)
    np.savez(tmp_path / "all.npz", cat=values)
    with pytest.raises(DataError, match=rf"cat\.npy has {message}"):
        find_arrays(tmp_path / "cat.npy")
    with pytest.raises(DataError, match=rf"all\.npz: array 'cat' has {message}"):
        find_arrays(tmp_path / "all.npz")


def test_files_that_are_cut_short_are_named(tmp_path):
    np.save(tmp_path / "cat.npy", noise(9, 5, 5))
    content = (tmp_path / "cat.npy").read_bytes()
    (tmp_path / "cat.npy").write_bytes(content[:-1])
    with pytest.raises(DataError, match=r"cat\.npy is cut short: 352 bytes, expected 353 for 9"):
        find_arrays(tmp_path / "cat.npy")
    (tmp_path / "cat.npy").write_bytes(content[:5])
    with pytest.raises(DataError, match=r"cat\.npy is no NumPy array"):
        find_arrays(tmp_path / "cat.npy")
    (tmp_path / "cat.npy").write_bytes(b"<html>302 Found</html>")
    with pytest.raises(DataError, match=r"cat\.npy is no NumPy array"):
        find_arrays(tmp_path / "cat.npy")
    with pytest.raises(DataError, match=r"dog\.npy cannot be read: No such file"):
        find_arrays(tmp_path / "dog.npy")


def test_an_npz_that_is_cut_short_empty_or_something_else_is_named(tmp_path):
    np.savez_compressed(tmp_path / "all.npz", cat=noise(9, 5, 5))
    content = (tmp_path / "all.npz").read_bytes()
    for cut in (content[:-30], content[:40], b"<html>"):
        (tmp_path / "all.npz").write_bytes(cut)
        with pytest.raises(DataError, match=r"all\.npz is cut short or no \.npz"):
            find_arrays(tmp_path / "all.npz")
    zipfile.ZipFile(tmp_path / "all.npz", "w").close()
    with pytest.raises(DataError, match="holds no arrays"):
        find_arrays(tmp_path / "all.npz")


def test_damage_inside_an_npz_is_an_unreadable_picture(tmp_path):
    np.savez_compressed(tmp_path / "all.npz", cat=noise(99, 5, 5))
    pictures = source(tmp_path / "all.npz")
    content = bytearray((tmp_path / "all.npz").read_bytes())
    content[1000] ^= 0xFF
    (tmp_path / "all.npz").write_bytes(content)
    (read,) = pictures.open([0])
    with pytest.raises(OSError, match=r"all\.npz: 'cat' can no longer be read"):
        read()


def test_real_bitmaps(shared_data):
    pictures = source(shared_data / "quickdraw" / "bitmaps_28px_29classes.npz")
    assert int(pictures.starts[-1]) == 66_325
    assert pictures.side == (28, 28)
    with np.load(shared_data / "quickdraw" / "bitmaps_28px_29classes.npz") as real:
        last = real[pictures.arrays[-1].name][-1]
    assert np.array_equal(pictures.pixels([66_324])[0], last)
