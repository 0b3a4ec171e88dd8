"""What is drawn: shown as ink on white, written as a grid or as a data set."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cliplab.drawings import Drawings, Group, Reranked, ink_on_white
from cliplab.runtime.errors import StorageError, UsageError


def strokes(n, channels=1, seed=0):
    """Light strokes on dark paper, with empty edges."""
    pixels = np.zeros((n, channels, 8, 8), dtype=np.uint8)
    inner = np.random.default_rng(seed).integers(0, 2, (n, channels, 6, 6)) * 255
    pixels[:, :, 1:-1, 1:-1] = inner
    return pixels


def group(name, n=3, *, text=None, seed=0, reranked=None, pixels=None):
    tokens = np.random.default_rng(seed).integers(0, 16, (n, 4, 4))
    given = strokes(n, seed=seed) if pixels is None else pixels
    return Group(text or f"a {name}", name, f"a {name}", tokens, given, reranked)


def read(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


@pytest.fixture
def made():
    return Drawings((group("cat"), group("dog", 2, seed=1)), 7, {"prior": {"name": "quickdraw"}})


def test_all_of_them_text_after_text(made):
    assert len(made) == 5
    assert made.pixels.shape == (5, 1, 8, 8)
    assert made.tokens.shape == (5, 4, 4)
    assert made.texts == ("a cat", "a cat", "a cat", "a dog", "a dog")
    assert made.scores is None
    assert repr(made) == "Drawings(3 of 'a cat', 2 of 'a dog'; seed 7)"


def test_ink_is_shown_dark_on_white():
    light_on_dark = strokes(4)
    assert np.array_equal(ink_on_white(light_on_dark), 255 - light_on_dark)
    assert np.array_equal(ink_on_white(255 - light_on_dark), 255 - light_on_dark)
    colour = strokes(4, channels=3)
    assert ink_on_white(colour) is colour


def test_a_notebook_shows_the_grid(made):
    picture = Image.open(io.BytesIO(made._repr_png_()))
    assert np.array_equal(np.asarray(picture), np.asarray(made.grid()))
    shown = made._repr_html_()
    assert '<img alt="a cat, a dog" src="data:image/png;base64,' in shown
    assert "5 drawings of a cat, a dog (seed 7)" in shown
    assert "<script>" not in Drawings((group("x", text="<script>"),), 0, {})._repr_html_()


def test_a_file_gets_the_grid(made, tmp_path):
    out = made.save(tmp_path / "new" / "both.png")
    assert np.array_equal(read(out), np.asarray(made.grid()))
    assert np.asarray(made.grid()).max() == 255
    made.save(out, scale=1)
    assert read(out).shape[1] < made.grid().width
    one = Drawings((group("cat"),), 0, {})
    assert one.grid().height < made.grid().height / 2  # one text needs no title


def test_a_folder_gets_the_pictures_in_their_own_tones(made, tmp_path):
    out = made.save(tmp_path / "drawn")
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.png"))
    assert files == ["cat/0.png", "cat/1.png", "cat/2.png", "dog/0.png", "dog/1.png"]
    for number, name in enumerate(files):
        assert np.array_equal(read(out / name), made.pixels[number, 0])
    record = json.loads((out / "drawings.json").read_text())
    assert record["folders"]["cat"]["seed"] == 7
    assert record["folders"]["cat"]["settings"] == {"prior": {"name": "quickdraw"}}
    assert record["folders"]["dog"]["texts"] == [
        {"text": "a dog", "name": "dog", "words": "a dog", "n": 2, "reranked": None}
    ]


def test_a_folder_of_colour_at_scale(tmp_path):
    made = Drawings((group("cat", pixels=strokes(3, 3)),), 0, {})
    made.save(tmp_path / "drawn", scale=2)
    found = read(tmp_path / "drawn" / "cat" / "1.png")
    assert np.array_equal(found[::2, 1::2].transpose(2, 0, 1), made.pixels[1])


def test_numbers_sort_as_they_count(tmp_path):
    Drawings((group("cat", 11),), 0, {}).save(tmp_path / "drawn")
    names = sorted(path.name for path in (tmp_path / "drawn" / "cat").iterdir())
    assert names == [f"{number:02}.png" for number in range(11)]


def test_texts_of_one_class_share_its_folder(tmp_path):
    made = Drawings((group("cat"), group("cat", text="cats", seed=1)), 0, {})
    made.save(tmp_path)
    assert len(list((tmp_path / "cat").iterdir())) == 6
    assert np.array_equal(read(tmp_path / "cat" / "3.png"), made.pixels[3, 0])
    record = json.loads((tmp_path / "drawings.json").read_text())
    assert [text["text"] for text in record["folders"]["cat"]["texts"]] == ["a cat", "cats"]


def test_drawn_again_a_class_is_replaced_and_others_stay(made, tmp_path):
    made.save(tmp_path / "drawn")
    Drawings((group("cat", 12, seed=5),), 8, {}).save(tmp_path / "drawn")
    Drawings((group("cat", 1, seed=5),), 9, {}).save(tmp_path / "drawn")
    assert [path.name for path in (tmp_path / "drawn" / "cat").iterdir()] == ["0.png"]
    assert len(list((tmp_path / "drawn" / "dog").iterdir())) == 2
    record = json.loads((tmp_path / "drawn" / "drawings.json").read_text())
    assert record["folders"]["cat"]["seed"] == 9
    assert record["folders"]["dog"]["seed"] == 7


def test_killed_while_it_writes_it_can_be_drawn_again(made, tmp_path, monkeypatch):
    from cliplab import drawings

    real, left = drawings.write_bytes, [2]

    def killed(path, content):
        if not left[0]:
            (path.parent / f".{path.name}.x.part").write_bytes(b"half")
            raise KeyboardInterrupt
        left[0] -= 1
        real(path, content)

    monkeypatch.setattr(drawings, "write_bytes", killed)
    with pytest.raises(KeyboardInterrupt):
        made.save(tmp_path / "drawn")
    monkeypatch.setattr(drawings, "write_bytes", real)
    made.save(tmp_path / "drawn")
    assert len(list((tmp_path / "drawn").rglob("*.p*"))) == 5


def test_killed_while_it_replaces_more_by_fewer(made, tmp_path, monkeypatch):
    Drawings((group("cat", 9),), 0, {}).save(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda *_a, **_m: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            made.save(tmp_path)
    made.save(tmp_path)
    assert len(list((tmp_path / "cat").iterdir())) == 3


def test_it_is_not_written_among_other_files(made, tmp_path):
    (tmp_path / "drawn" / "cat").mkdir(parents=True)
    (tmp_path / "drawn" / "cat" / "mine.jpg").write_bytes(b"")
    with pytest.raises(UsageError, match=r"no drawings of this command \(mine\.jpg\)"):
        made.save(tmp_path / "drawn")
    assert [path.name for path in (tmp_path / "drawn" / "cat").iterdir()] == ["mine.jpg"]
    assert not (tmp_path / "drawn" / "dog").exists()


def test_what_cannot_be_written(made, tmp_path):
    with pytest.raises(UsageError, match=r"ends in \.png"):
        made.save(tmp_path / "cats.pdf")
    with pytest.raises(UsageError, match="--scale 0: give 1 or more"):
        made.save(tmp_path / "cats.png", scale=0)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises((StorageError, UsageError)):
        made.save(tmp_path / "file")


def test_both_orders_are_told():
    ranked = Reranked("E", without=(0.1, 0.3), with_=(0.5, 0.3), drawn=(4, 1))
    made = Drawings((group("cat", 2, reranked=ranked),), 0, {})
    assert made.scores.tolist() == [0.5, 0.3]
    told = made.as_json()["texts"][0]["reranked"]
    assert told == {
        "encoder": "E",
        "mean_without": pytest.approx(0.2),
        "mean_with": pytest.approx(0.4),
        "without": [0.1, 0.3],
        "with": [0.5, 0.3],
        "drawn": [4, 1],
    }
