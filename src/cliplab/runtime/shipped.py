"""The weights that come with cliplab: where they lie, and what they are called.

    weights/tokenizer      the image tokenizer of the drawings
    weights/clip           the CLIP of drawings and captions, whose text tower conditions the priors
    weights/prior          draws token by token
    weights/prior-masked   draws in a few steps

Each folder is like one that a training leaves behind, with a MODEL_CARD.md; all are called
`quickdraw`.
"""

from __future__ import annotations

from pathlib import Path

from cliplab.runtime.errors import MissingWeights

NAME = "quickdraw"
WEIGHTS = Path(__file__).parents[1] / "weights"
TOKENIZER, ENCODER, PRIOR, MASKED_PRIOR = "tokenizer", "clip", "prior", "prior-masked"


def shipped(kind: str) -> Path:
    """Give the folder of weights that came with the package.

    Parameters
    ----------
    kind
        TOKENIZER, ENCODER, PRIOR or MASKED_PRIOR.

    Raises
    ------
    MissingWeights
        The installation lacks it.
    """
    folder = WEIGHTS / kind
    if not folder.is_dir():
        raise MissingWeights(
            f"{NAME!r} is what comes with cliplab, and this installation lacks its {kind} "
            f"({folder}). Install cliplab anew, or name a folder of your own."
        )
    return folder
