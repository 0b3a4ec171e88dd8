"""The priors that come with cliplab: they draw 29 classes of Quick, Draw! from words.

python recipes/sketch_prior.py DATA OUT --tokenizer T --encoder E [--decoder masked]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from cliplab.prior_training import train_prior
from cliplab.priors.config import PriorConfig

STEPS = {"autoregressive": 5_500, "masked": 3_000}


def config(decoder: str = "autoregressive") -> PriorConfig:
    """Give the settings of the priors that are shipped as `quickdraw`.

    Source: a transformer as LlamaGen has it (Sun et al. 2024), over 7x7 tokens of the shipped
    tokenizer, asked by text vectors of the shipped encoder; `masked` is MaskGIT's (Chang et al.
    2022). No dropout: a drawing is met seven times at most.

    Data: `bitmaps_28px_29classes.npz`, 53,157 training drawings; the rest are held out.

    Cost: 2.1 million parameters; about an hour of one core of a 2.5 GHz machine, 1.2 GB.

    Command: `python recipes/sketch_prior.py DATA OUT --tokenizer T --encoder E`; killed and run
    again, it goes on.
    """
    return PriorConfig(
        preset="cpu",
        decoder=decoder,
        width=160,
        layers=6,
        heads=5,
        dropout=0.0,
        steps=STEPS[decoder],
        batch_size=64,
        lr=2e-3,
    )


def main() -> None:
    """Train; the data, the folder, tokenizer and encoder are the arguments."""
    parser = argparse.ArgumentParser(description=(config.__doc__ or "").splitlines()[0])
    parser.add_argument("data", help="drawings: a file or folder of them, or a data set's name")
    parser.add_argument("out", type=Path, help="folder of the prior")
    parser.add_argument("--tokenizer", default="quickdraw", help="its folder or name")
    parser.add_argument("--encoder", default="quickdraw", help="its folder or name")
    parser.add_argument("--decoder", default="autoregressive", choices=STEPS)
    given = parser.parse_args()
    dataset, task = open_dataset(given.data)
    train_prior(
        dataset,
        load_tokenizer(given.tokenizer),
        config(given.decoder),
        given.out,
        encoder=load_encoder(given.encoder, device="cpu"),
        task=task,
    )


if __name__ == "__main__":
    main()
