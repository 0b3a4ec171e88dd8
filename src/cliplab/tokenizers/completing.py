"""A drawing of which a part is to stay: the picture as tokens, those of the other part open."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cliplab.nouns import ImageTokenizer
from cliplab.pictures.decode import decode
from cliplab.pictures.unreadable import UnreadablePicture
from cliplab.runtime.errors import DataError, UnknownName, UsageError
from cliplab.tokenizers.pixel_store import brought_to

SIDES = ("top", "bottom", "left", "right")
OPEN = -1  # of a token that is to be drawn
LEAST_CONTRAST = 24  # of 255; a thin line that is shrunk is faint
MIDDLE = (64, 191)  # tones that are neither paper nor stroke; a drawing has few
MOST_MIDDLE = 0.5  # share of them from which a picture is no drawing


def kept_tokens(tokenizer: ImageTokenizer, picture: str | Path, keep: str) -> np.ndarray:
    """Give the tokens of a half of a picture, the others open.

    The picture is brought to the tokenizer's size by its shorter side and cropped at the centre. To
    a grey tokenizer it is a drawing, of any two tones: its contrast is stretched, and its tones are
    turned round if the tokenizer knows the other kind of paper.

    Parameters
    ----------
    tokenizer
        Of the prior that is to draw the rest.
    picture
        Its file.
    keep
        The half that stays: "top", "bottom", "left" or "right"; of an odd number of rows or columns
        the larger half.

    Returns
    -------
    np.ndarray
        (h, w) int64 in 0..K-1; -1: to be drawn.

    Raises
    ------
    UsageError
        No such file, or no such side.
    DataError
        It cannot be read, is blank, or is no drawing though the tokenizer's pictures are.
    """
    if keep not in SIDES:
        raise UnknownName("side", keep, SIDES, hint="of --keep")
    pixels = _pixels(Path(picture).expanduser(), tokenizer.shape)
    if tokenizer.shape[0] == 1:
        pixels = _as_drawing(pixels, tokenizer, picture)
    tokens = tokenizer.encode(pixels[None])[0]
    rows, columns = (-(-size // 2) for size in tokens.shape)
    stays = np.zeros(tokens.shape, dtype=bool)
    if keep in ("top", "bottom"):
        stays[:rows] = True
    else:
        stays[:, :columns] = True
    if keep in ("bottom", "right"):
        stays = stays[::-1, ::-1]
    return np.where(stays, tokens, OPEN)


def _pixels(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """(C, H, W) uint8 of a file."""
    if not path.is_file():
        raise UsageError(f"There is no picture {path} to complete.")
    try:
        picture = decode(path.read_bytes())
    except UnreadablePicture as error:
        raise DataError(f"{path} cannot be completed: {error.reason}.") from error
    found: np.ndarray = brought_to(shape)(picture).numpy()
    return found


def _as_drawing(pixels: np.ndarray, tokenizer: ImageTokenizer, name: str | Path) -> np.ndarray:
    """Full contrast, on the paper that the tokenizer knows."""
    darkest, lightest = int(pixels.min()), int(pixels.max())
    if lightest - darkest < LEAST_CONTRAST:
        raise DataError(f"{name} is blank: there is nothing in it to complete.")
    full = np.round((pixels - float(darkest)) * (255 / (lightest - darkest))).astype(np.uint8)
    middle = float(((full > MIDDLE[0]) & (full < MIDDLE[1])).mean())
    if middle > MOST_MIDDLE:
        raise DataError(
            f"{name} is no drawing of strokes on plain paper: {100 * middle:.0f} % of it has tones "
            f"in between, at most {100 * MOST_MIDDLE:.0f} % are expected. {tokenizer.name} knows "
            "drawings alone; give a line drawing."
        )
    edge = np.concatenate([full[:, 0], full[:, -1], full[..., 0], full[..., -1]], axis=1)
    is_light = float(edge.mean()) > 127.5
    return full if is_light == knows_light_paper(tokenizer) else 255 - full


def knows_light_paper(tokenizer: ImageTokenizer) -> bool:
    """Tell which of two blank sheets a tokenizer gives back better: the white one, or the black."""
    sheets = np.stack([np.full(tokenizer.shape, tone, dtype=np.uint8) for tone in (0, 255)])
    given_back = tokenizer.decode(tokenizer.encode(sheets)).astype(np.int64)
    black, white = np.abs(given_back - sheets).mean(axis=(1, 2, 3))
    return bool(white < black)
