"""Lines drawn as they should be: exact areas, symmetry, and the published bitmaps themselves."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cliplab.datasets.raster import LINE, MARGIN, WHOLE, draw_strokes
from cliplab.datasets.strokes import strokes_of


def stroke(*points):
    return np.array(points, dtype=np.float64).T


def lines_of(path):
    return path.read_bytes().splitlines()


def ink(picture) -> float:
    """Area in square units of the strokes' frame."""
    return float(picture.sum(dtype=np.int64)) / 255 * (WHOLE / len(picture)) ** 2


@pytest.mark.parametrize("size", [28, 64, 224])
def test_a_line_covers_its_length_times_its_width_and_two_half_circles(size):
    for end, allowed in (((255, 0), 0.05), ((0, 255), 0.01), ((255, 255), 0.01), ((255, 97), 0.01)):
        length = np.hypot(*end)  # a level line is as wide as a whole number of lines of sight
        area = LINE * length + np.pi * (LINE / 2) ** 2
        assert ink(draw_strokes([stroke((0, 0), end)], size)) == pytest.approx(area, rel=allowed)


def test_a_dot_is_a_disc_in_the_middle():
    picture = draw_strokes([stroke((7, 3))], 76)  # 4 units a pixel: the disc is 4 pixels wide
    assert ink(picture) == pytest.approx(np.pi * 64, rel=0.03)
    assert np.argwhere(picture).min() == 36
    assert np.argwhere(picture).max() == 39
    assert np.array_equal(picture, picture[::-1, ::-1])


def test_a_long_line_is_as_far_from_the_border_as_the_published_ones():
    rows, columns = np.nonzero(draw_strokes([stroke((0, 40), (255, 40))], 304))  # a unit a pixel
    assert (rows.min(), rows.max() + 1) == ((WHOLE - LINE) / 2, (WHOLE + LINE) / 2)
    assert columns.min() == pytest.approx(MARGIN, abs=1)
    assert columns.max() + 1 == pytest.approx(WHOLE - MARGIN, abs=1)


def test_pixels_that_are_partly_covered_are_grey_by_their_share():
    picture = draw_strokes([stroke((0, 0), (255, 0))], 38)  # 8 units a pixel: two whole rows
    assert list(picture[:, 19]) == [0] * 18 + [255, 255] + [0] * 18
    picture = draw_strokes([stroke((0, 0), (255, 0))], 19)  # 16 units a pixel: one row
    assert list(picture[:, 9]) == [0] * 9 + [255] + [0] * 9
    picture = draw_strokes([stroke((0, 0), (255, 0))], 20)  # two rows share it, 16 of 30.4 units
    assert picture[9, 10] == picture[10, 10] == pytest.approx(255 * 16 / 30.4, abs=9)


def test_a_stroke_over_another_leaves_of_the_paper_what_it_does_not_cover():
    one = draw_strokes([stroke((0, 0), (255, 0))], 20).astype(float) / 255
    twice = draw_strokes([stroke((0, 0), (255, 0))] * 2, 20) / 255
    assert np.allclose(twice, one + one - one * one, atol=1 / 255)
    again = draw_strokes([stroke((0, 0), (255, 0), (0, 0))], 20) / 255  # in one stroke: united
    assert np.array_equal(again, one)


def test_nothing_changes_when_a_drawing_is_moved_turned_or_cut_into_more_points():
    zigzag = stroke((0, 0), (200, 30), (10, 80), (200, 130))
    picture = draw_strokes([zigzag], 64)
    assert np.array_equal(draw_strokes([zigzag + 30.0], 64), picture)
    assert np.array_equal(draw_strokes([zigzag[:, ::-1]], 64), picture)
    finer = stroke(*[(20 * i, 3 * i) for i in range(10)], *zigzag.T[1:])
    assert np.abs(draw_strokes([finer], 64).astype(int) - picture).max() <= 1
    mirrored = np.stack([-zigzag[0], zigzag[1]])
    assert np.abs(draw_strokes([mirrored], 64)[:, ::-1].astype(int) - picture).max() <= 1


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(*[st.integers(0, 255)] * 2), min_size=1, max_size=6),
        min_size=1,
        max_size=4,
    )
)
def test_it_is_what_a_count_of_points_near_the_lines_gives(drawing):
    """The shape by its definition, on a grid of points, apart from where a pixel's share is cut."""
    strokes = [stroke(*points) for points in drawing]
    size, fine = 28, 8
    at = (np.arange(size * fine) + 0.5) / fine * (WHOLE / size)
    points = np.concatenate(strokes, axis=1)
    shift = (WHOLE - points.min(axis=1) - points.max(axis=1)) / 2
    paper = np.ones((size, size))
    for one in strokes:
        near = np.zeros((size * fine,) * 2, dtype=bool)
        ends = one if one.shape[1] > 1 else np.repeat(one, 2, axis=1)
        for (x0, y0), (x1, y1) in zip((ends.T + shift)[:-1], (ends.T + shift)[1:], strict=True):
            square = (x1 - x0) ** 2 + (y1 - y0) ** 2
            along = (at - x0) * (x1 - x0) + (at[:, None] - y0) * (y1 - y0)
            part = np.clip(along / (square or 1), 0, 1)
            off = np.hypot(at - x0 - part * (x1 - x0), at[:, None] - y0 - part * (y1 - y0))
            near |= off <= LINE / 2
        paper *= 1 - near.reshape(size, fine, size, fine).mean(axis=(1, 3))
    difference = np.abs(draw_strokes(strokes, size) - 255 * (1 - paper))
    assert difference.mean() < 1
    assert difference.max() < 25  # a share counted in 64ths, for each stroke


def test_the_bytes_are_those_of_the_first_version():
    """Digests of prepared drawings must not move with a machine or a library."""
    spiral = [(128 + r * x, 128 + r * y) for r, (x, y) in enumerate([(3, 0), (0, 3), (-3, 0)] * 12)]
    drawn = [draw_strokes([stroke(*spiral), stroke((9, 9))], size) for size in (28, 64, 200)]
    assert (
        hashlib.sha256(b"".join(p.tobytes() for p in drawn)).hexdigest()
        == "43c63748e3cce09f953ac2c1b1f6292d7900eb8b00f2e066a90180d7f6d32bc8"
    )


@pytest.fixture(scope="module")
def pairs(shared_data):
    """Drawings whose published bitmap is at hand: (drawn by us, published), both 28x28."""
    folder, found = shared_data / "quickdraw", []
    with np.load(folder / "bitmaps_28px_29classes.npz") as bitmaps:
        for name in bitmaps.files:
            published = bitmaps[name][:12].astype(int)  # the first drawings of both files
            for line in lines_of(folder / "strokes_simplified" / f"{name}.ndjson"):
                drawn = draw_strokes(strokes_of(line), 28).astype(int)
                apart = np.abs(published - drawn).mean(axis=(1, 2))
                if apart.min() < 5:  # another drawing of the class is 25 or more away
                    found.append((drawn, published[apart.argmin()]))
    return found


def test_the_published_bitmaps_come_out_to_a_grey_or_two(pairs):
    assert len(pairs) > 180
    apart = np.array([np.abs(ours - theirs) for ours, theirs in pairs])
    assert apart.mean() < 0.6
    assert np.percentile(apart, 99) <= 12
    assert apart.max() <= 40
    ours, theirs = (np.array([pair[i] for pair in pairs]) for i in (0, 1))
    assert ours.mean() == pytest.approx(theirs.mean(), rel=0.005)  # the same share of ink


def test_all_classes_have_the_ink_and_the_place_of_the_published_ones(shared_data):
    """Other drawings of the same classes: their share of ink and centre as a whole."""
    folder = shared_data / "quickdraw"
    with np.load(folder / "bitmaps_28px_29classes.npz") as bitmaps:
        for name in ("bicycle", "cat", "rainbow", "snowman"):
            theirs = bitmaps[name].mean(axis=0)
            lines = lines_of(folder / "strokes_simplified" / f"{name}.ndjson")
            ours = np.mean([draw_strokes(strokes_of(line), 28) for line in lines], axis=0)
            assert ours.mean() == pytest.approx(theirs.mean(), rel=0.4)
            for axis in (0, 1):
                centres = [
                    np.average(np.arange(28), weights=p.sum(axis=axis)) for p in (ours, theirs)
                ]
                assert centres[0] == pytest.approx(centres[1], abs=1.5)


def test_raw_strokes_look_like_the_simplified_ones(shared_data):
    folder, apart = shared_data / "quickdraw", []
    for file in sorted((folder / "strokes_raw").glob("*.ndjson")):
        simplified = {
            json.loads(line)["key_id"]: line
            for line in lines_of(folder / "strokes_simplified" / file.name)
        }
        for raw in lines_of(file):
            if line := simplified.get(json.loads(raw)["key_id"]):
                one, other = (draw_strokes(strokes_of(text), 64) for text in (raw, line))
                apart.append(np.abs(one.astype(int) - other).mean())
    assert len(apart) >= 100
    assert np.mean(apart) < 4  # of 255; simplifying moves a line by up to 2 units
