"""Passes over the pictures: loss and gradient, what the certificate needs, and the curvature."""

from __future__ import annotations

import functools
from typing import NamedTuple

import torch

from cliplab.classifiers.solver.prepared import Prepared

# Least logarithm of a probability: the square of a smaller one is no normal number, with which
# processors take a hundred times as long.
LEAST = {torch.float32: -40.0, torch.float64: -340.0}


class Value(NamedTuple):
    """Loss and gradient at one point, without the penalty."""

    loss: float
    gradient: torch.Tensor  # (R + 1, C) float64; the last row is the intercept's
    spread: torch.Tensor  # (C,) float64, sum_i s_i p (1 - p)


class ExactValue(NamedTuple):
    """The same in float64 and on the features as given, with what the dual bound needs."""

    loss: float
    entropy: float  # sum_i s_i H(p_i)
    slope: torch.Tensor  # (F, C) float64, sum_i s_i (x_i - mean) (p_i - y_i)ᵀ
    balance: torch.Tensor  # (C,) float64, sum_i s_i (p_i - y_i)
    spread: torch.Tensor  # (C,) float64
    coupling: torch.Tensor  # (C, C) float64, sum_i s_i (diag p - p pᵀ): curvature in b
    unsure: float  # sum_i s_i |p_i - y_i|
    pull: float  # sum_i s_i |x_i - mean| |p_i - y_i|: what the slope is summed up from


def loss_pass(problem: Prepared, points: torch.Tensor) -> list[Value]:
    """Loss and gradient at J points in one pass, in the features' dtype; sums in float64.

    Parameters
    ----------
    points
        (J, R + 1, C) float64: weights in the eigenbasis, then the intercept.
    """
    n_points, height, n_classes = points.shape
    z, dtype = problem.z, problem.z.dtype
    weights = points[:, :-1].to(dtype).permute(1, 0, 2).reshape(height - 1, -1)
    intercepts = points[:, -1].to(dtype).reshape(-1)
    zeros = functools.partial(torch.zeros, dtype=torch.float64, device=z.device)
    loss = zeros(n_points)
    gradient = zeros((height, n_points * n_classes))
    spread = zeros((n_points, n_classes))
    for rows in problem.blocks(n_points * n_classes):
        block, share = z[rows], problem.weights_of(rows, dtype)
        logits = torch.addmm(intercepts, block, weights).view(-1, n_points, n_classes)
        p = torch.log_softmax(logits, dim=2)
        own = problem.labels[rows, None, None].expand(-1, n_points, 1)
        told = p.gather(2, own)[:, :, 0]
        loss -= (told if share is None else told * share).sum(0, dtype=torch.float64)
        p.clamp_(min=LEAST[dtype]).exp_()
        square = p.square()
        residual = p.scatter_add_(2, own, p.new_full((1,), -1.0).expand(own.shape))
        if share is not None:
            residual.mul_(share[:, :, None])
            square.mul_(share[:, :, None])
        spread -= square.sum(0, dtype=torch.float64)
        residual = residual.view(len(block), -1)
        gradient[:-1] += block.T @ residual
        gradient[-1] += residual.sum(0, dtype=torch.float64)
    gradients = gradient.view(height, n_points, n_classes).permute(1, 0, 2).contiguous()
    spread += gradients[:, -1] + problem.counts  # sum of s p = its balance + the class's weight
    return [Value(float(a), b, c) for a, b, c in zip(loss.tolist(), gradients, spread, strict=True)]


def exact_pass(problem: Prepared, weights: torch.Tensor, intercept: torch.Tensor) -> ExactValue:
    """Loss, slope and entropy of the softmax in float64, on the features as they were given.

    Parameters
    ----------
    weights
        (F, C) float64, of the centred features.
    intercept
        (C,) float64.
    """
    width, n_classes = weights.shape
    zeros = functools.partial(torch.zeros, dtype=torch.float64, device=weights.device)
    loss, entropy = zeros(()), zeros(())
    slope = zeros((width, n_classes))
    balance, unsure, pull = zeros(n_classes), zeros(()), zeros(())
    coupling = zeros((n_classes, n_classes))
    for rows in problem.blocks(4 * max(width, n_classes)):
        block = problem.x[rows].double() - problem.mean
        share = problem.weights_of(rows, torch.float64)
        log_p = torch.log_softmax(torch.addmm(intercept, block, weights), dim=1)
        own = problem.labels[rows, None]
        told, p = log_p.gather(1, own), log_p.clamp_(min=LEAST[torch.float64]).exp()
        uncertain = -(p * log_p).sum(1, keepdim=True)
        loss -= (told if share is None else told * share).sum()
        entropy += (uncertain if share is None else uncertain * share).sum()
        coupling -= p.T @ (p if share is None else p * share)
        residual = p.scatter_add_(1, own, torch.full_like(told, -1.0))
        if share is not None:
            residual.mul_(share)
        slope += block.T @ residual
        length = residual.norm(dim=1)
        unsure += length.sum()
        pull += block.norm(dim=1) @ length
        balance += residual.sum(0)
    coupling.diagonal().add_(balance + problem.counts)
    spread = coupling.diagonal().clone()
    loss, entropy, unsure, pull = torch.stack([loss, entropy, unsure, pull]).tolist()
    return ExactValue(loss, entropy, slope, balance, spread, coupling, unsure, pull)


def balance_pass(problem: Prepared, point: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradient (C,) and curvature (C, C) in the intercept alone, in the features' dtype."""
    dtype, n_classes = problem.z.dtype, point.shape[1]
    weights, intercept = point[:-1].to(dtype), point[-1].to(dtype)
    total = torch.zeros(n_classes, dtype=torch.float64, device=point.device)
    coupling = torch.zeros((n_classes, n_classes), dtype=torch.float64, device=point.device)
    for rows in problem.blocks(n_classes):
        p = torch.softmax(torch.addmm(intercept, problem.z[rows], weights), dim=1)
        share = problem.weights_of(rows, dtype)
        weighted = p if share is None else p * share
        total += weighted.sum(0, dtype=torch.float64)
        coupling -= p.T @ weighted
    coupling.diagonal().add_(total)
    return total - problem.counts, coupling


def curvature_pass(problem: Prepared, point: torch.Tensor) -> torch.Tensor:
    """Hessian of the loss (C (R + 1), C (R + 1)) float64, class by class, for Newton's method."""
    height, n_classes = point.shape
    size = height * n_classes
    hessian = torch.zeros((size, size), dtype=torch.float64, device=point.device)
    diagonal = hessian.view(n_classes, height, n_classes, height).diagonal(dim1=0, dim2=2)
    for rows in problem.blocks(4 * max(size, len(problem.mean))):
        turned = (problem.x[rows].double() - problem.mean) @ problem.basis
        p = torch.softmax(torch.addmm(point[-1], turned, point[:-1]), dim=1)
        with_one = torch.cat([turned, torch.ones_like(turned[:, :1])], dim=1)
        share = problem.weights_of(rows, torch.float64)
        spread = (p[:, :, None] * with_one[:, None, :]).flatten(1)
        weighted = spread if share is None else spread * share
        hessian -= spread.T @ weighted
        own = (with_one.T @ weighted).view(height, n_classes, height)
        diagonal += own.permute(0, 2, 1)
    return hessian
