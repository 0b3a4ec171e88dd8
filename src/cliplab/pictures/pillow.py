"""Pillow made fit for several threads: its plugins, its warnings, its limit of pixels."""

from __future__ import annotations

import ctypes
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import PIL
from PIL import Image

_here = threading.local()
_lock = threading.Lock()
_ready = False


@contextmanager
def decoding(max_pixels: int) -> Iterator[None]:
    """Let this thread use Pillow: silently, and up to `max_pixels` pixels by Pillow's own guard.

    Inside, Pillow's warnings are dropped in this thread, except that of a picture over its guard,
    which is raised. Elsewhere the process sees Pillow's warnings as ever.
    """
    _make_ready()
    _raise_guard(max_pixels)
    if _OVER_GUARD not in warnings.filters[:1]:  # a `catch_warnings` may have taken them away
        warnings.simplefilter("ignore", category=_AnyHere)
        warnings.simplefilter("error", category=_OverGuardHere)
    _here.decoding = True
    try:
        yield
    finally:
        _here.decoding = False


class _OnlyWhileDecoding(type):
    """Makes a warning category that covers another one, in threads that are decoding alone.

    `warnings.catch_warnings` swaps the filters of the whole process, so that it is no use in
    threads; a filter whose category answers for the thread that asks is.
    """

    covered: type[Warning]

    def __subclasscheck__(cls, subclass: type) -> bool:
        return getattr(_here, "decoding", False) and cls.covered in subclass.__mro__


class _AnyHere(Warning, metaclass=_OnlyWhileDecoding):
    covered = Warning


class _OverGuardHere(Warning, metaclass=_OnlyWhileDecoding):
    covered = Image.DecompressionBombWarning


_OVER_GUARD = ("error", None, _OverGuardHere, None, 0)


def _make_ready() -> None:
    """Load all of Pillow's plugins, once.

    `Image.open` loads most of them only when the first few do not know a file, and a second thread
    that comes by at that moment may be told that nothing does.
    """
    global _ready
    if _ready:
        return
    with _lock:
        if not _ready:
            Image.init()
            # Without any handler, Python prints what Pillow logs of damaged TIFFs to the terminal.
            logging.getLogger("PIL").addHandler(logging.NullHandler())
            _silence_libtiff()
            _ready = True


def _raise_guard(max_pixels: int) -> None:
    """Raise Pillow's guard to `max_pixels`; never lower it, so that threads cannot disagree."""
    if Image.MAX_IMAGE_PIXELS is None or max_pixels <= Image.MAX_IMAGE_PIXELS:
        return
    with _lock:
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, max_pixels)


def _silence_libtiff() -> None:
    """Take away libtiff's own messages, which go past Python to the terminal, hundreds a file.

    The copy that Pillow's wheel brings is asked; where there is another, it keeps talking.
    """
    folder = Path(PIL.__file__).parent
    for library in (*folder.parent.glob("pillow.libs/libtiff*"), *folder.glob(".dylibs/libtiff*")):
        with suppress(OSError, AttributeError):
            libtiff = ctypes.CDLL(str(library))
            libtiff.TIFFSetErrorHandler(None)
            libtiff.TIFFSetWarningHandler(None)
