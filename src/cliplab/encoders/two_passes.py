"""The gradient of a contrastive batch in micro-batches, equal to that of the whole batch.

Each picture is compared with every caption, so that a batch cannot simply be cut. But the loss
depends on the towers through their features alone, and those are small (Gao et al. 2021, "Scaling
Deep Contrastive Learning Batch Size under Memory Limited Setup", section 3.2):

1. without gradients, the features of all micro-batches;
2. the loss of all features, and its gradient ∂L/∂f with respect to them;
3. once more each micro-batch, with gradients, whose features f are sent ∂L/∂f.

What a network draws (dropout) is seeded by step, tower and place, so that both passes draw the
same; patches that are left out are drawn for the whole batch, whatever the micro-batch.

B pairs, K distinct captions, D width, T tokens, n micro-batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from cliplab.encoders.losses import Loss
from cliplab.encoders.pairs import PairBatch
from cliplab.runtime.progress import say
from cliplab.training.loop import step_seed
from cliplab.training.memory import Plan

CHECKPOINTED = "blocks"  # technique: the towers' blocks are recomputed in the backward pass
TECHNIQUES = {(): "as it is", (CHECKPOINTED,): "with blocks recomputed"}
PICTURES, CAPTIONS = 0, 1  # towers, for what they draw


class Inputs(NamedTuple):
    """A batch as the towers take it."""

    pixels: torch.Tensor  # (B, 3, H, W) float
    tokens: torch.Tensor  # (K, T) int64, each caption once
    which: torch.Tensor  # (B,) int64 in 0..K-1, on the device
    classes: torch.Tensor  # (B,) int64, on the device; read where the targets are classes


def add_gradient(
    model: Any, loss_of: Loss, inputs: Inputs, micro_batch: int, seed: int
) -> torch.Tensor:
    """Add the gradient of a batch's loss to that of the parameters; give the loss ().

    Parameters
    ----------
    model
        open_clip's, whose patch dropout is `DropoutOfBatch` where it has some.
    loss_of
        Of all features.
    inputs
        The batch, on any device.
    micro_batch
        n pictures, and n captions, at once; the whole batch takes one pass.
    seed
        Of the step.
    """
    images = _Tower(model, model.encode_image, inputs.pixels, PICTURES, seed)
    captions = _Tower(model, model.encode_text, inputs.tokens, CAPTIONS, seed)
    if micro_batch >= len(inputs.pixels):
        value = _of_pairs(loss_of, images.whole(), captions.whole(), inputs)
        value.backward()  # type: ignore[no-untyped-call]
        return value.detach()
    features = [tower.cached(micro_batch).requires_grad_() for tower in (images, captions)]
    value = _of_pairs(loss_of, features[0], features[1], inputs)
    value.backward()  # type: ignore[no-untyped-call]
    for tower, cached in zip((images, captions), features, strict=True):
        assert cached.grad is not None
        tower.send_back(cached.grad, micro_batch)
    return value.detach()


def _of_pairs(
    loss_of: Loss, images: torch.Tensor, captions: torch.Tensor, inputs: Inputs
) -> torch.Tensor:
    # Not captions[which]: its gradient is added up in whatever order the threads come.
    return loss_of(images, functional.embedding(inputs.which, captions), inputs.classes)


@dataclass(frozen=True, slots=True)
class _Tower:
    """One tower over a batch's inputs."""

    model: Any
    encode: Callable[..., torch.Tensor]
    inputs: torch.Tensor
    number: int
    seed: int

    def whole(self) -> torch.Tensor:
        """Features (B, D) of all inputs at once."""
        return self._features(slice(0, len(self.inputs)), 0)

    @torch.no_grad()
    def cached(self, micro_batch: int) -> torch.Tensor:
        """Features (B, D) of all inputs, micro-batch by micro-batch, without gradients."""
        return torch.cat([self._features(*part) for part in self._parts(micro_batch)])

    def send_back(self, gradient: torch.Tensor, micro_batch: int) -> None:
        """Send the features' gradient (B, D) back to the parameters."""
        for part, place in self._parts(micro_batch):
            self._features(part, place).backward(gradient[part])  # type: ignore[no-untyped-call]

    def _parts(self, micro_batch: int) -> Iterator[tuple[slice, int]]:
        for place, start in enumerate(range(0, len(self.inputs), micro_batch)):
            yield slice(start, min(start + micro_batch, len(self.inputs))), place

    def _features(self, part: slice, place: int) -> torch.Tensor:
        seed = step_seed(self.seed, 2 * place + self.number)
        torch.manual_seed(seed)
        for module in self.model.modules():
            if isinstance(module, DropoutOfBatch):
                module.draw(step_seed(self.seed, self.number), part, len(self.inputs))
        device = self.model.logit_scale.device
        return self.encode(self.inputs[part].to(device), normalize=True)


class DropoutOfBatch(nn.Module):
    """Patch dropout (Li et al. 2022, arXiv 2212.00794) whose noise a micro-batch has its rows of.

    It leaves of each picture's patches the share 1 - p, those of the largest noise, as
    `open_clip.transformer.PatchDropout` does.
    """

    def __init__(self, prob: float, exclude_first_token: bool) -> None:
        super().__init__()
        self.prob, self.exclude_first_token = prob, exclude_first_token
        self.seed, self.part, self.total = 0, slice(0, 0), 0

    def draw(self, seed: int, part: slice, total: int) -> None:
        """Say which rows of how many come next, and what seeds the noise of all."""
        self.seed, self.part, self.total = seed, part, total

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Tokens (n, T, W) → (n, T', W)."""
        if not self.training or self.prob == 0.0:
            return x
        first = 1 if self.exclude_first_token else 0
        n_patches = x.shape[1] - first
        generator = torch.Generator().manual_seed(self.seed)
        noise = torch.randn(self.total, n_patches, generator=generator, device="cpu")
        kept = noise[self.part].topk(max(1, int(n_patches * (1 - self.prob))), dim=-1).indices
        rows = torch.arange(len(x), device=x.device)[:, None]
        chosen = x[:, first:][rows, kept.to(x.device)]
        return torch.cat([x[:, :first], chosen], dim=1)


def draw_for_batches(model: nn.Module) -> None:
    """Put `DropoutOfBatch` in the place of open_clip's patch dropout."""
    from open_clip.transformer import PatchDropout

    for name, module in list(model.named_modules()):
        if isinstance(module, PatchDropout):
            model.set_submodule(name, DropoutOfBatch(module.prob, module.exclude_first_token))


def draws_by_micro_batch(model: nn.Module) -> bool:
    """Tell whether a network draws what depends on the micro-batch: any dropout but of patches."""
    return any(
        isinstance(value := getattr(module, name, None), float) and value > 0.0
        for module in model.modules()
        if "Drop" in type(module).__name__ and not isinstance(module, DropoutOfBatch)
        for name in ("p", "prob", "drop_prob")
    )


def takes_batches_whole(model: nn.Module) -> bool:
    """Tell whether a network compares the pictures of a batch (batch normalisation)."""
    return any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules())


@dataclass(slots=True)
class ContrastiveGradient:
    """Gradients of batches of pairs; the plan gives way when a GPU runs out of memory."""

    model: Any
    loss_of: Loss
    tokens: torch.Tensor  # (all captions, T) int64
    plan: Plan
    seed: int
    gives_way: bool  # not where batches are taken whole

    def __call__(self, batch: PairBatch, step: int) -> Mapping[str, float]:
        """Add a batch's gradient to the parameters'; give its numbers."""
        distinct, which = np.unique(batch.captions, return_inverse=True)  # each encoded once
        device = self.model.logit_scale.device
        places, classes = (torch.from_numpy(a).to(device) for a in (which, batch.classes))
        inputs = Inputs(batch.pixels, self.tokens[distinct], places, classes)
        seed = step_seed(self.seed, step)
        while True:
            try:
                value = add_gradient(self.model, self.loss_of, inputs, self.plan.micro_batch, seed)
                scale = float(self.model.logit_scale.detach().exp())
                return {"loss": float(value), "logit_scale": scale}
            except torch.OutOfMemoryError:
                if self.plan.micro_batch == 1 or not self.gives_way:
                    raise
            self._give_way()  # here, where no error holds on to what was computed

    def _give_way(self) -> None:
        micro = max(1, self.plan.micro_batch // 2)
        say(f"Out of memory: the same batch again, {micro} pictures at a time.")
        self.plan = Plan(micro, self.plan.techniques)
        self.model.zero_grad()
        torch.cuda.empty_cache()
