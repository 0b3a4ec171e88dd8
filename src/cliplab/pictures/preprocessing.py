"""RGB pictures → the tensor that an encoder was trained on: open_clip's own transform."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from cliplab.pictures.unreadable import UnreadablePicture
from cliplab.runtime.errors import UsageError

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

INTERPOLATIONS = ("bicubic", "bilinear", "random")  # the last is bicubic outside training
RESIZE_MODES = ("shortest", "longest", "squash")
MOST_PIXELS = 89_478_485  # of a picture on its way through the transform

# OpenAI's channel statistics, which most of OpenCLIP's weights use too.
_MEAN = (0.48145466, 0.4578275, 0.40821073)
_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a picture is brought to an encoder's size and scale: open_clip's `PreprocessCfg`."""

    size: tuple[int, int] = (224, 224)  # (H, W) pixels
    mean: tuple[float, ...] = _MEAN  # (3,) of the channels, subtracted; in 0..1
    std: tuple[float, ...] = _STD  # (3,) of the channels, divided by
    interpolation: str = "bicubic"  # or "bilinear"
    resize_mode: str = "shortest"  # then cropped at the centre; "longest": padded; "squash": bent
    fill_color: int = 0  # of the padding, 0..255

    def __post_init__(self) -> None:
        if len(self.size) != 2 or min(self.size) < 1:
            raise UsageError(f"Preprocessing: size {self.size} is not (height, width) in pixels.")
        if len(self.mean) != 3 or len(self.std) != 3 or 0 in self.std:
            raise UsageError("Preprocessing: mean and std are three numbers each, std none of 0.")
        if self.interpolation not in INTERPOLATIONS or self.resize_mode not in RESIZE_MODES:
            raise UsageError(
                f"Preprocessing: interpolation {self.interpolation!r} must be one of "
                f"{INTERPOLATIONS}, resize_mode {self.resize_mode!r} one of {RESIZE_MODES}."
            )

    @classmethod
    def from_open_clip(cls, config: Any) -> Preprocessing:
        """Take the fields from open_clip's `PreprocessCfg` or a mapping of them.

        A field that is absent or None takes its default; what the dataclass does not have is left
        aside; a single number for size, mean or std stands for all of them.
        """
        given: Mapping[str, Any]
        given = asdict(config) if is_dataclass(config) else config  # type: ignore[arg-type]
        known = {field.name for field in fields(cls)}
        values = {k: v for k, v in given.items() if k in known and v is not None}
        for name, count in (("size", 2), ("mean", 3), ("std", 3)):
            if name in values:
                values[name] = _repeated(values[name], count)
        return cls(**values)

    def transform(self) -> Callable[[Image], torch.Tensor]:
        """Build the transform: 8-bit RGB picture → (3, H, W) float32, as open_clip makes it.

        What it gives raises `UnreadablePicture` for one so thin that resizing it would take a
        picture of more than `MOST_PIXELS`, or leave none.
        """
        from open_clip.transform import PreprocessCfg, image_transform_v2

        transform = image_transform_v2(PreprocessCfg(**asdict(self)), is_train=False)

        def prepare(picture: Image) -> torch.Tensor:
            self._refuse_thin(picture)
            pixels: torch.Tensor = transform(picture)
            return pixels

        return prepare

    def identity(self) -> dict[str, Any]:
        """Give plain JSON types that tell two preprocessings apart."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}

    def _refuse_thin(self, picture: Image) -> None:
        if self.resize_mode == "squash":
            return
        width, height = picture.size
        ratios = (self.size[0] / height, self.size[1] / width)
        ratio = max(ratios) if self.resize_mode == "shortest" else min(ratios)
        resized = width * ratio, height * ratio
        if min(resized) <= 0.5 or resized[0] * resized[1] > MOST_PIXELS:
            raise UnreadablePicture(
                f"{width:,} x {height:,} pixels are too thin to be resized to "
                f"{self.size[1]} x {self.size[0]}"
            )


def _repeated(value: Any, count: int) -> tuple[Any, ...]:
    values = tuple(value) if isinstance(value, list | tuple) else (value,)
    return values * count if len(values) == 1 else values
