"""What a contrastive batch is to learn: which pictures and captions belong together.

    pairs      a picture's own caption alone is right, CLIP's loss or SigLIP's
    classes    every caption of a picture's class is right

Where captions are prompts of classes, a batch has many pictures of one class, and "pairs" calls all
their captions wrong but one. With "classes" the target of a picture is spread evenly over the
captions of its class, and the other way round (Yang et al. 2022, "Unified Contrastive Learning in
Image-Text-Label Space", section 3.2; Khosla et al. 2020, equation 2). In a batch without a class
twice both are the same.

B pairs, D width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

PAIRS, CLASSES = "pairs", "classes"
TARGETS = (PAIRS, CLASSES)

Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""From features of pictures and captions (B, D), both of L2 norm 1, and the classes (B,) of the
pairs, to the mean loss ()."""


def loss_of_model(model: Any, targets: str = PAIRS) -> Loss:
    """Give the loss of an open_clip model: SigLIP's where it has a bias, CLIP's else.

    Parameters
    ----------
    model
        Its scale and bias are read anew at each call.
    targets
        "pairs" leaves the classes of the pairs unread.
    """
    sigmoid = getattr(model, "logit_bias", None) is not None
    if targets == CLASSES:
        return _sigmoid_of_classes(model) if sigmoid else _softmax_of_classes(model)
    from open_clip.loss import ClipLoss, SigLipLoss

    if sigmoid:
        siglip = SigLipLoss()
        return lambda a, b, _classes: siglip(a, b, model.logit_scale.exp(), model.logit_bias)
    clip = ClipLoss()
    return lambda a, b, _classes: clip(a, b, model.logit_scale.exp())


def _softmax_of_classes(model: Any) -> Loss:
    def loss(images: torch.Tensor, captions: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        same = (classes[:, None] == classes).to(images.dtype)
        target = same / same.sum(dim=1, keepdim=True)  # (B, B); rows add up to 1
        logits = model.logit_scale.exp() * images @ captions.T
        of_pictures = functional.cross_entropy(logits, target)
        return (of_pictures + functional.cross_entropy(logits.T, target)) / 2

    return loss


def _sigmoid_of_classes(model: Any) -> Loss:
    def loss(images: torch.Tensor, captions: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        sign = 2 * (classes[:, None] == classes).to(images.dtype) - 1  # (B, B)
        logits = model.logit_scale.exp() * images @ captions.T + model.logit_bias
        return -functional.logsigmoid(sign * logits).sum() / len(images)

    return loss
