"""RGB pictures → the tensor that an encoder was trained on: open_clip's own transform."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

# OpenAI's channel statistics, which most of OpenCLIP's weights use too.
_MEAN = (0.48145466, 0.4578275, 0.40821073)
_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a picture is brought to an encoder's size and scale; the fields of open_clip's own."""

    size: tuple[int, int] = (224, 224)  # (H, W) pixels
    mean: tuple[float, ...] = _MEAN  # of each channel, in 0..1
    std: tuple[float, ...] = _STD  # likewise
    interpolation: str = "bicubic"  # or "bilinear", "random"
    resize_mode: str = "shortest"  # then cropped at the centre; "longest": padded; "squash"
    fill_color: int = 0  # of the padding, 0..255

    @classmethod
    def from_open_clip(cls, config: Any) -> Preprocessing:
        """Take the fields from open_clip's `PreprocessCfg`, or from a mapping of them."""
        given: Mapping[str, Any]
        given = asdict(config) if is_dataclass(config) else config  # type: ignore[arg-type]
        known = {field.name for field in fields(cls)}
        values = {key: _frozen(value) for key, value in given.items() if key in known}
        if isinstance(values.get("size"), int):
            values["size"] = (values["size"], values["size"])
        return cls(**values)

    def transform(self) -> Callable[[Image], torch.Tensor]:
        """Build the transform: 8-bit RGB picture → (3, H, W) float32."""
        from open_clip.transform import PreprocessCfg, image_transform_v2

        built: Callable[[Image], torch.Tensor]
        built = image_transform_v2(PreprocessCfg(**asdict(self)), is_train=False)
        return built

    def identity(self) -> dict[str, Any]:
        """Plain types that tell two preprocessings apart."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
