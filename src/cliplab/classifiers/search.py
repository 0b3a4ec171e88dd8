"""The search for λ: each fit starts from its neighbours', and is kept until the search is over."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cliplab.classifiers.estimator import few_threads_if_small, penalty, solver_device
from cliplab.classifiers.protocols import DECADES, SPANS, STARTS, STEPS_A_DECADE, STRONGEST, c_at
from cliplab.classifiers.selection import halving_rounds
from cliplab.classifiers.solver.prepared import Prepared, prepare
from cliplab.classifiers.solver.solve import Solution, Start, solve
from cliplab.runtime.progress import Advance, progress
from cliplab.runtime.storage import write_bytes

FORMAT = 1  # of the files of an unfinished search, and of what the solver does to the last bit
TOGETHER = 2048  # columns up to which a GPU solves all λ of a round at once


class Split(NamedTuple):
    """Pictures of one part."""

    x: np.ndarray  # (N, F) float32
    y: np.ndarray  # (N,) int64


class Chosen(NamedTuple):
    """What the search came to."""

    c: float
    trace: list[dict[str, Any]]  # one entry a fit, in order
    start: Start | None  # the probe of that C
    classes: np.ndarray  # (C,) int64, the classes that it knows


@dataclass(slots=True)
class _Search:
    train: Prepared
    held_out: Split
    classes: np.ndarray  # (C,) int64, of the training pictures
    gap: float
    folder: Path | None  # of what is kept until the search is over
    together: bool  # whether the λ of a round are solved in the same passes
    advance: Advance
    starts: dict[int, Start] = field(default_factory=dict)  # position → what was found there
    trace: list[dict[str, Any]] = field(default_factory=list)

    def round(self, positions: Sequence[int]) -> list[tuple[float, float]]:
        """Quality at each position: validation accuracy, then minus the validation loss."""
        there = [p for p in positions if self._file(p).is_file()] if self.folder else []
        if self.together and len(there) < len(positions):
            there = []  # a round that is solved together is kept as a whole
        found = {p: self._kept(p) for p in there}
        missing = [p for p in positions if p not in found]
        for some in [missing] if self.together and missing else [[p] for p in missing]:
            found |= self._solved(some)
        self.trace.extend(found[p] for p in positions)
        qualities = [(found[p]["accuracy"], -found[p]["loss"]) for p in positions]
        self._forget()
        return qualities

    def _solved(self, positions: Sequence[int]) -> dict[int, dict[str, Any]]:
        begun = time.perf_counter()
        strengths = [penalty(c_at(p), len(self.classes)) for p in positions]
        starts = [near_start(self.starts, p) for p in positions]
        solutions = solve(self.train, strengths, self.gap, starts=starts)
        found = {}
        for position, solution in zip(positions, solutions, strict=True):
            accuracy, loss = _judged(solution, self.held_out, self.classes)
            found[position] = {
                "lambda": 1 / c_at(position),
                "C": c_at(position),
                "accuracy": accuracy,
                "loss": loss,
                "gap": min(solution.gap, 1e300),
                "converged": solution.converged,
                "iterations": solution.steps,
                "evaluations": solution.evaluations,
                "seconds": round((time.perf_counter() - begun) / len(positions), 4),
            }
            self._keep(position, solution, found[position])
            self.advance(1, f"C {c_at(position):.3g}: {accuracy:.2%}")
        return found

    def _forget(self) -> None:
        """Drop the weights that no later fit starts from: all but the best and its neighbours."""
        ranked = {_position(entry): (entry["accuracy"], -entry["loss"]) for entry in self.trace}
        best = max(ranked, key=lambda p: (ranked[p], -p))
        near = {best, max((p for p in ranked if p < best), default=best)}
        near.add(min((p for p in ranked if p > best), default=best))
        self.starts = {p: start for p, start in self.starts.items() if p in near}

    def _keep(self, position: int, solution: Solution, entry: dict[str, Any]) -> None:
        start = Start(solution.weights.astype(np.float32), solution.intercept.astype(np.float32))
        self.starts[position] = start
        if self.folder is not None:
            from safetensors.numpy import save

            content = save(start._asdict(), metadata={"trace": json.dumps(entry)})
            write_bytes(self._file(position), content)

    def _file(self, position: int) -> Path:
        assert self.folder is not None
        return self.folder / f"{position}.safetensors"

    def _kept(self, position: int) -> dict[str, Any]:
        """Read a fit that an earlier run finished."""
        from safetensors import safe_open

        with safe_open(self._file(position), framework="np") as file:
            entry: dict[str, Any] = json.loads(file.metadata()["trace"])
            self.starts[position] = Start(file.get_tensor("weights"), file.get_tensor("intercept"))
        self.advance(1)
        return entry


def search(
    train: Split,
    held_out: Split,
    gap: float,
    *,
    device: str = "auto",
    folder: Path | None = None,
    together: bool | None = None,
) -> Chosen:
    """Find the C of the best validation accuracy on the paper's grid; of equals, of the lower loss.

    Parameters
    ----------
    train, held_out
        Fitted on; judged on. Held-out pictures of a class that `train` lacks count as wrong.
    gap
        Proven relative gap of each fit.
    folder
        Where finished fits are kept, so that a killed search goes on; None: nowhere. Whoever asks
        for the search removes it when the result is safe.
    together
        Whether all λ of a round are solved in the same passes; None: on a GPU, with few classes.
    """
    there = solver_device(device)
    classes, labels = np.unique(train.y, return_inverse=True)
    if together is None:
        together = there.startswith("cuda") and len(STARTS) * len(classes) <= TOGETHER
    with (
        few_threads_if_small(train.x.size * len(classes)),
        progress("choosing C", len(STARTS) + 2 * len(SPANS), unit="fits") as advance,
    ):
        problem = prepare(train.x, labels, len(classes), device=there)
        one = _Search(problem, held_out, classes, gap, folder, together, advance)
        best = halving_rounds(one.round, DECADES * STEPS_A_DECADE + 1, STARTS, SPANS)
    return Chosen(c_at(best), one.trace, one.starts.get(best), classes)


def near_start(known: dict[int, Start], position: int) -> Start | None:
    """Begin between the neighbours, in proportion on the logarithmic grid, or beyond them.

    Weights are smooth in log λ, so that the middle of two optima is nearer to the one between than
    either is. Without a neighbour there is no start.
    """
    below = sorted(p for p in known if p < position)
    above = sorted(p for p in known if p > position)
    if below and above:
        a, b = below[-1], above[0]
    elif len(below) > 1:
        a, b = below[-2:]
    elif below or above:
        return known[(below or above)[0]]
    else:
        return None
    share = (position - a) / (b - a)
    pairs = zip(known[a], known[b], strict=True)
    return Start(*((1 - share) * first + share * second for first, second in pairs))


def digest_of(train: Split, held_out: Split, gap: float, device: str) -> str:
    """Digest of all that the search's numbers depend on."""
    import torch

    plain = {
        "format": FORMAT,
        "gap": gap,
        "device": solver_device(device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "grid": (STARTS, SPANS),
        "shapes": [(part.x.shape, str(part.x.dtype)) for part in (train, held_out)],
    }
    found = hashlib.sha256(json.dumps(plain).encode())
    for part in (train, held_out):
        for values in part:
            found.update(np.ascontiguousarray(values).data)
    return found.hexdigest()


def _judged(solution: Solution, held_out: Split, classes: np.ndarray) -> tuple[float, float]:
    """Accuracy, and mean cross-entropy on the pictures whose classes are known."""
    from scipy.special import log_softmax

    right, loss, known = 0, 0.0, 0
    place = np.searchsorted(classes, held_out.y).clip(max=len(classes) - 1)
    for first in range(0, len(held_out.y), 4096):
        rows = slice(first, first + 4096)
        logits = held_out.x[rows].astype(np.float64) @ solution.weights + solution.intercept
        told = classes[logits.argmax(axis=1)] == held_out.y[rows]
        there = np.flatnonzero(classes[place[rows]] == held_out.y[rows])
        right += int(told.sum())
        scores = log_softmax(logits[there], axis=1)
        loss -= float(scores[np.arange(len(there)), place[rows][there]].sum())
        known += len(there)
    return right / len(held_out.y), loss / known if known else 1e300


def _position(entry: dict[str, Any]) -> int:
    return round(float((np.log10(entry["C"]) + STRONGEST) * STEPS_A_DECADE))
