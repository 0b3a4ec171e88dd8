"""Grids of pairs: everything is where it should be, enlarged and not blurred."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from cliplab.pictures import grid
from cliplab.pictures.grid import Row, above_each_other, in_rows, save_picture, written_as
from cliplab.runtime.errors import UsageError


def pictures(n, channels, side, seed):
    return np.random.default_rng(seed).integers(0, 256, (n, channels, side, side), dtype=np.uint8)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_originals_stand_above_their_reconstructions(channels, mode):
    above, below = pictures(3, channels, 16, 0), pictures(3, channels, 16, 1)
    found = above_each_other(above, below)
    assert found.mode == mode
    cell = 64 + grid.GAP
    assert found.size == (3 * cell + grid.GAP, 2 * cell + grid.BETWEEN)
    pixels = np.asarray(found).reshape(found.height, found.width, -1)
    for number in range(3):
        for row, given in enumerate((above, below)):
            top, left = grid.GAP + row * cell, grid.GAP + number * cell
            part = pixels[top : top + 64 : 4, left : left + 64 : 4]
            assert np.array_equal(part.transpose(2, 0, 1), given[number])


def test_many_pictures_take_several_pairs_of_rows():
    found = above_each_other(pictures(50, 1, 64, 0), pictures(50, 1, 64, 1))
    assert found.width <= grid.WIDEST
    assert found.height > 3 * 2 * 64
    cell, sixteen = 84 + grid.GAP, pictures(16, 1, 28, 0)
    assert above_each_other(sixteen, sixteen).width == 8 * cell + grid.GAP  # not fifteen and one


def test_large_pictures_are_not_enlarged():
    assert above_each_other(pictures(1, 3, 80, 0), pictures(1, 3, 80, 1)).width == 80 + 2 * grid.GAP


def test_the_suffix_says_the_format(tmp_path):
    picture = above_each_other(pictures(1, 1, 8, 0), pictures(1, 1, 8, 1))
    save_picture(tmp_path / "new" / "a.PNG", picture)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "new" / "a.PNG")), np.asarray(picture))
    for name in ("a", "a.pdf", "a.txt"):
        with pytest.raises(UsageError, match=r"ends in \.png"):
            written_as(tmp_path / name)


def test_rows_stand_under_their_titles():
    rows = [Row("cat", pictures(3, 1, 16, 0)), Row("a dog", pictures(2, 1, 16, 1))]
    found = in_rows(rows)
    cell = 64 + grid.GAP
    assert found.size == (3 * cell + grid.GAP, 2 * (cell + grid.TITLE) + grid.GAP)
    pixels = np.asarray(found)
    for number, row in enumerate(rows):
        top = grid.GAP + number * (cell + grid.TITLE)
        title = pixels[top : top + grid.TITLE, : 2 * cell]
        assert title.min() < 60 < grid.GREY == title.max()  # dark letters on the grey
        for column, given in enumerate(row.pictures):
            left = grid.GAP + column * cell
            part = pixels[top + grid.TITLE :, left:][:64:4, :64:4]
            assert np.array_equal(part, given[0])


def test_a_row_without_a_title_takes_no_room_for_one():
    found = in_rows([Row("", pictures(40, 3, 28, 0))])
    cell = 84 + grid.GAP
    assert found.mode == "RGB"
    assert found.size == (14 * cell + grid.GAP, 3 * cell + grid.GAP)


def test_a_scale_is_taken_as_given():
    assert in_rows([Row("", pictures(1, 1, 28, 0))], scale=1).size == (28 + 2 * grid.GAP,) * 2
    assert in_rows([Row("", pictures(1, 1, 28, 0))], scale=5).width == 140 + 2 * grid.GAP
