from __future__ import annotations

import io
import subprocess
import sys
import threading
import warnings

import pytest
from PIL import Image

from cliplab.pictures.decode import MAX_PIXELS, decode
from cliplab.pictures.pillow import decoding
from cliplab.pictures.unreadable import UnreadablePicture


def png(size: tuple[int, int]) -> bytes:
    stream = io.BytesIO()
    Image.new("1", size).save(stream, "PNG")
    return stream.getvalue()


def test_warnings_are_dropped_while_this_thread_decodes():
    with decoding(MAX_PIXELS):
        warnings.warn("corrupt EXIF", UserWarning, stacklevel=1)  # an error in this suite


def test_warnings_are_heard_outside_and_in_other_threads():
    inside, heard = threading.Event(), threading.Event()

    def decode_for_long():
        with decoding(MAX_PIXELS):
            inside.set()
            heard.wait(10)

    thread = threading.Thread(target=decode_for_long)
    thread.start()
    inside.wait(10)
    try:
        with pytest.raises(UserWarning, match="mine"):
            warnings.warn("mine", UserWarning, stacklevel=1)
    finally:
        heard.set()
        thread.join()


def test_the_silence_outlives_a_catch_warnings_of_the_callers():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with decoding(MAX_PIXELS):
            warnings.warn("corrupt EXIF", UserWarning, stacklevel=1)
    with warnings.catch_warnings():
        warnings.resetwarnings()
        warnings.simplefilter("error")
        with decoding(MAX_PIXELS):
            warnings.warn("corrupt EXIF", UserWarning, stacklevel=1)


def test_a_picture_over_the_limit_is_refused_by_its_header():
    with pytest.raises(UnreadablePicture, match=r"100 x 50 pixels: .* 4,999 .*--max-pixels"):
        decode(png((100, 50)), max_pixels=4999)
    assert decode(png((100, 50)), max_pixels=5000).size == (100, 50)


def test_pillows_own_guard_is_an_unreadable_picture_too(monkeypatch):
    icon = io.BytesIO()  # of all formats, icons are decoded as they are opened
    Image.new("RGBA", (64, 64)).save(icon, "ICO", sizes=[(64, 64)])
    for guard in (2000, 4000):  # an error above twice the guard, a warning above it
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", guard)
        with pytest.raises(UnreadablePicture, match=r"very large .*--max-pixels"):
            decode(icon.getvalue(), max_pixels=guard)


def test_a_raised_limit_raises_pillows_guard_and_never_lowers_it(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    data = png((100, 50))
    assert decode(data, max_pixels=6000).size == (100, 50)
    with pytest.raises(UnreadablePicture):
        decode(data, max_pixels=4000)
    assert Image.MAX_IMAGE_PIXELS == 6000


def test_every_format_is_known_before_the_first_picture_is_opened():
    code = """
from PIL import Image
from cliplab.pictures.pillow import decoding
with decoding(1):
    print({"BMP", "JPEG", "TGA", "TIFF", "WEBP"} <= set(Image.OPEN))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (run.stdout.strip(), run.stderr) == ("True", "")


def test_what_pillow_logs_of_a_damaged_file_stays_off_the_terminal():
    code = """
import io, struct
from PIL import Image
from cliplab.pictures.decode import decode
stream = io.BytesIO()
Image.new("RGB", (2, 2)).save(stream, "TIFF")
samples = struct.pack("<HHII", 277, 3, 1, 3)
assert stream.getvalue().count(samples) == 1
try:
    decode(stream.getvalue().replace(samples, struct.pack("<HHII", 277, 3, 1, 300)))
except ValueError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert run.stdout.startswith("not in a picture format")
    assert run.stderr == ""
