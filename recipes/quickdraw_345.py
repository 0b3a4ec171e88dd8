"""A tokenizer, a CLIP and a prior of all 345 classes of Quick, Draw!, one after the other.

python recipes/quickdraw_345.py DATA OUT [--share S]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ship import ship_encoder, ship_tokenizer

from cliplab import (
    ContrastiveConfig,
    TokenizerConfig,
    load_encoder,
    load_tokenizer,
    open_dataset,
    train_clip,
    train_tokenizer,
)
from cliplab.datasets.sketch_captions import with_wordings
from cliplab.prior_training import train_prior
from cliplab.priors.config import PriorConfig

ARCHITECTURE = Path(__file__).with_suffix(".json")


def tokenizer_config(share: float = 1.0) -> TokenizerConfig:
    """Give the settings of the tokenizer: the shipped one's, with twice the codes, and wider."""
    return TokenizerConfig(
        size=28, codes=1024, width=64, steps=_part(20_000, share), batch_size=128, lr=2e-3
    )


def clip_config(share: float = 1.0) -> ContrastiveConfig:
    """Give the settings of the CLIP: the shipped one's, twice as wide, in batches of 512."""
    return ContrastiveConfig(
        model=str(ARCHITECTURE),
        epochs=_part(4, share),
        batch_size=512,
        lr=2e-3,
        captions="prompts",
        targets="classes",
        shift=4,
    )


def prior_config(share: float = 1.0) -> PriorConfig:
    """Give the settings of the prior: the preset for 345 classes on one GPU."""
    return PriorConfig(preset="small", steps=_part(60_000, share))


def _part(whole: int, share: float) -> int:
    return max(1, round(whole * share))


def train_all(data: str, out: Path, share: float = 1.0) -> Path:
    """Train all three; killed and run again, it goes on where it was.

    Source: the recipes of 29 classes beside this file, scaled by the number of classes.

    Data: `cliplab prepare quickdraw/bitmaps --per-class 20000` and `quickdraw@per-class=20000`:
    6.9 million drawings, of which 5.5 million are trained on.

    Cost: see below.

    Parameters
    ----------
    data
        A data set's name, or drawings: a file or a folder of them.
    out
        Gets `tokenizer`, `clip` and `prior`; and `shipped/tokenizer`, `shipped/clip`, which are
        those in float16, and which the prior goes with.
    share
        Of the steps; 1 is what the figures above are for. Of a CLIP at least one epoch.

    Returns
    -------
    Path
        Folder of the prior: `cliplab draw "a zebra" --prior OUT/prior --tokenizer
        OUT/shipped/tokenizer --encoder OUT/shipped/clip`.
    """
    dataset, task = open_dataset(data)
    worded, shipped = with_wordings(dataset, task), out / "shipped"
    ship_tokenizer(
        train_tokenizer(dataset, tokenizer_config(share), out / "tokenizer", task=task),
        shipped / "tokenizer",
    )
    ship_encoder(train_clip(worded, clip_config(share), out / "clip", task=task), shipped / "clip")
    return train_prior(
        dataset,
        load_tokenizer(shipped / "tokenizer", device="auto"),
        prior_config(share),
        out / "prior",
        encoder=load_encoder(shipped / "clip"),
        task=task,
    )


def main() -> None:
    """Train; the data and the folder are the arguments."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", help="drawings: a file or folder of them, or a data set's name")
    parser.add_argument("out", type=Path, help="folder of all that is made")
    parser.add_argument("--share", type=float, default=1.0, help="of the steps; default 1")
    given = parser.parse_args()
    train_all(given.data, given.out, given.share)


if __name__ == "__main__":
    main()
