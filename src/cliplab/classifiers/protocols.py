"""Protocols of the linear probe, each a recipe with its source.

λ = 1 / C weighs the penalty against the *sum* of the losses, as in scikit-learn. "Eight steps" is
the paper's final resolution: eight values of λ a decade. CoOp's `lpclip` halves eight times
instead, and CLIP_benchmark's steps are of AdamW's decay, which is not this λ at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cliplab.runtime.errors import UnknownName

DEFAULT = "fast"
STRONGEST, STEPS_A_DECADE, DECADES = 6, 8, 12  # λ = 1e6 down to 1e-6: 97 values, 96 steps
STARTS = tuple(range(0, DECADES * STEPS_A_DECADE + 1, 2 * STEPS_A_DECADE))
SPANS = (8, 4, 2, 1)
HELD_OUT = 0.2  # of each class of the training pictures, where there is no validation split


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeProtocol:
    """What a linear probe reads, and how its C is found."""

    source: str  # where the protocol is written down
    features: str  # "pre": before the projection, "post": after it
    c: float | None  # None: chosen on validation pictures
    search_gap: float  # proven relative gap to the optimum of each fit of the search
    final_gap: float  # and of the fit that is kept


def paper() -> ProbeProtocol:
    """Give CLIP's paper's protocol.

    Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision",
    appendix A.3: features before the projection, λ from 1e-6 to 1e6 in 96 steps, searched by seven
    starts and by halving around the peak to eight steps a decade, on validation pictures; then
    fitted on training and validation pictures together. 15 fits and one. The paper's fits end at
    1,000 iterations of scikit-learn; these end at the optimum.

        cliplab evaluate DATASET --classifier linear_probe --protocol paper
    """
    return ProbeProtocol(
        source="Radford et al. 2021, appendix A.3",
        features="pre",
        c=None,
        search_gap=1e-4,
        final_gap=1e-6,
    )


def readme() -> ProbeProtocol:
    """Give the protocol of CLIP's README: one fit, C = 0.316, projected features, not normalised.

    openai/CLIP, README.md, "Linear-probe evaluation". 0.316 is a point of the paper's grid.

        cliplab evaluate DATASET --classifier linear_probe --protocol readme
    """
    return ProbeProtocol(
        source="openai/CLIP README.md, linear-probe evaluation",
        features="post",
        c=0.316,
        search_gap=1e-4,
        final_gap=1e-6,
    )


def fast() -> ProbeProtocol:
    """Give the paper's protocol with a coarser gap while searching; the default.

    Validation accuracy at a gap of 1e-3 tells the values of λ apart as well as at 1e-4
    (`benchmarks/probe.py` prints both choices).

        cliplab evaluate DATASET --classifier linear_probe
    """
    return ProbeProtocol(
        source="Radford et al. 2021, appendix A.3, with a gap of 1e-3 while searching",
        features="pre",
        c=None,
        search_gap=1e-3,
        final_gap=1e-6,
    )


RECIPES: dict[str, Callable[[], ProbeProtocol]] = {"paper": paper, "readme": readme, "fast": fast}


def probe_protocol(name: str) -> ProbeProtocol:
    """Give the protocol of that name; an unknown one gives the closest."""
    if name not in RECIPES:
        raise UnknownName("protocol", name, RECIPES)
    return RECIPES[name]()


def c_at(position: int) -> float:
    """C at a position of the grid: 1e-6 (the strongest penalty) at 0, 1e6 at 96."""
    return float(10.0 ** (position / STEPS_A_DECADE - STRONGEST))
