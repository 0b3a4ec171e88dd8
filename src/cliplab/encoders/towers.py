"""The image tower, taken apart before its last projection, so that both of its outputs are had.

F width of the features before the projection, D of the joint space. Nothing is computed twice: the
projection is taken off the tower and applied here, by the operation that the tower itself uses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import torch
    from torch import nn


class ImageTower(NamedTuple):
    """A tower whose two outputs are known."""

    trunk: Callable[[torch.Tensor], torch.Tensor]  # (B, 3, H, W) → (B, F)
    project: Callable[[torch.Tensor], torch.Tensor] | None  # (B, F) → (B, D); None: no such layer
    feature_width: int | None  # F


def image_tower(visual: nn.Module) -> ImageTower:
    """Take an open_clip image tower apart; the module is changed by it.

    ViT: before `proj`. ResNet: the attention pool's output before `c_proj`. timm's: before
    open_clip's head or the trunk's own classifier. Any other architecture has one output alone.
    """
    from open_clip.modified_resnet import ModifiedResNet
    from open_clip.timm_model import TimmModel
    from open_clip.transformer import VisionTransformer

    if isinstance(visual, VisionTransformer) and visual.proj is not None:
        return _vision_transformer(visual)
    if isinstance(visual, ModifiedResNet):
        return _resnet(visual)
    if isinstance(visual, TimmModel) and (tower := _timm(visual)):
        return tower
    return ImageTower(_first_output(visual), None, None)


def _vision_transformer(visual: Any) -> ImageTower:
    projection = visual.proj  # (F, D)
    visual.proj = None
    return ImageTower(_first_output(visual), lambda x: x @ projection, projection.shape[0])


def _resnet(visual: Any) -> ImageTower:
    import torch
    from torch import nn

    pool = visual.attnpool
    projection: nn.Linear = pool.c_proj  # F → D
    width = projection.in_features
    # The attention function of PyTorch ends in a projection; the identity leaves what comes in.
    identity = nn.Linear(width, width, bias=True)
    with torch.no_grad():
        identity.weight.copy_(torch.eye(width))
        identity.bias.zero_()
    pool.c_proj = identity.to(projection.weight)
    return ImageTower(visual, projection, width)


def _timm(visual: Any) -> ImageTower | None:
    """Take the projection off: open_clip's head where it has one, else the trunk's classifier.

    EVA, MobileCLIP and PE project by timm's own classifier; SigLIP's pool gives the joint space
    itself, and a head that pools by attention projects by itself.
    """
    from torch import nn

    linear = [m for m in visual.head.modules() if isinstance(m, nn.Linear)]
    if hasattr(visual.head, "pool"):
        return None
    if linear:
        return ImageTower(visual.trunk, visual.head, linear[0].in_features)
    classifier = visual.trunk.get_classifier()
    if not isinstance(classifier, nn.Linear):
        return None
    name = next(name for name, module in visual.trunk.named_modules() if module is classifier)
    parent, _, last = name.rpartition(".")
    setattr(visual.trunk.get_submodule(parent), last, nn.Identity())
    return ImageTower(visual.trunk, classifier, classifier.in_features)


def _first_output(visual: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    def run(pixels: torch.Tensor) -> torch.Tensor:
        found = visual(pixels)  # CoCa's tower gives (pooled, tokens)
        pooled: torch.Tensor = found[0] if isinstance(found, tuple) else found
        return pooled

    return run
