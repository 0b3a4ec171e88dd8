"""A tokenizer, a CLIP and a prior of all 345 classes of Quick, Draw!, one after the other.

python recipes/quickdraw_345.py DATA OUT [--share S] [--memory M]

What it costs. Arithmetic is counted; the time of one core is that of a few steps on a server's,
with AVX-512 (55 to 100 GFLOP/s in float32), times their number; 16 cores are taken to be 16 times
as fast; a GPU's time is an estimate at 10 TFLOP/s, a sixth of what an H100 can do in float32, and
has not been measured. The CLIP reads its pictures anew in each epoch (0.8 ms a picture and core),
which is what it waits for on a GPU.

| | drawings | a drawing | in all | one core | 16 cores | a GPU and 16 cores |
|---|---|---|---|---|---|---|
| tokenizer, 0.6 M parameters | 2.6 M | 0.49 GFLOP, 8.3 ms | 1.3 PFLOP | 6 h | 25 min | 2 min |
| CLIP, 1.8 M | 22 M | 0.17 GFLOP, 3.0 ms | 3.7 PFLOP | 23 h | 1.5 h | 25 min |
| prior, 15 M | 15 M | 4.5 GFLOP, 46 ms | 70 PFLOP | 8 days | 12 h | 2 h |

With `--share 0.1` and 2,000 drawings a class, a tenth of each.
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


def tokenizer_config(share: float = 1.0, memory: str | None = None) -> TokenizerConfig:
    """Give the settings of the tokenizer: the shipped one's, with twice the codes, and wider."""
    return TokenizerConfig(
        size=28,
        codes=1024,
        width=64,
        steps=_part(20_000, share),
        batch_size=128,
        lr=2e-3,
        memory=memory,
    )


def clip_config(share: float = 1.0, memory: str | None = None) -> ContrastiveConfig:
    """Give the settings of the CLIP: the shipped one's, twice as wide, in batches of 512."""
    return ContrastiveConfig(
        model=str(ARCHITECTURE),
        epochs=_part(4, share),
        batch_size=512,
        lr=2e-3,
        captions="prompts",
        targets="classes",
        shift=4,
        memory=memory,
    )


def prior_config(share: float = 1.0, memory: str | None = None) -> PriorConfig:
    """Give the settings of the prior: the preset for 345 classes on one GPU."""
    return PriorConfig(preset="small", steps=_part(60_000, share), memory=memory)


def _part(whole: int, share: float) -> int:
    return max(1, round(whole * share))


def train_all(data: str, out: Path, share: float = 1.0, memory: str | None = None) -> Path:
    """Train all three; killed and run again, it goes on where it was.

    Source: the recipes of 29 classes beside this file, scaled by the number of classes.

    Data: `cliplab prepare quickdraw/bitmaps --per-class 20000` and `quickdraw@per-class=20000`:
    6.9 million drawings, of which 5.5 million are trained on.

    Cost: the table at the head of this file; 6 GB of memory, or what `memory` says.

    Parameters
    ----------
    data
        A data set's name, or drawings: a file or a folder of them.
    out
        Gets `tokenizer`, `clip` and `prior`; and `shipped/tokenizer`, `shipped/clip`, which are
        those in float16, and which the prior goes with.
    share
        Of the steps; 1 is what the cost is for. The CLIP takes at least one epoch.
    memory
        What each training may take, such as "4GiB". Default: what is free.

    Returns
    -------
    Path
        Folder of the prior: `cliplab draw "a zebra" --prior OUT/prior --tokenizer
        OUT/shipped/tokenizer --encoder OUT/shipped/clip`.
    """
    dataset, task = open_dataset(data)
    worded, shipped = with_wordings(dataset, task), out / "shipped"
    ship_tokenizer(
        train_tokenizer(dataset, tokenizer_config(share, memory), out / "tokenizer", task=task),
        shipped / "tokenizer",
    )
    ship_encoder(
        train_clip(worded, clip_config(share, memory), out / "clip", task=task), shipped / "clip"
    )
    return train_prior(
        dataset,
        load_tokenizer(shipped / "tokenizer", device="auto"),
        prior_config(share, memory),
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
    parser.add_argument("--memory", help="of each training, such as 4GiB; default: what is free")
    given = parser.parse_args()
    train_all(given.data, given.out, given.share, given.memory)


if __name__ == "__main__":
    main()
