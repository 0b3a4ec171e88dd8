"""Takes folders that trainings left, and writes them as those that come with cliplab.

python recipes/ship.py [--tokenizer FOLDER] [--clip FOLDER] [--prior FOLDER] [--prior-masked FOLDER]

Weights become float16, a table of tokens is cut down to the rows in use, and what the notes say of
one machine (paths) is left out. A prior must be trained on the shipped tokenizer and encoder, since
rounded weights have a digest of their own: ship these two first.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cliplab.encoders import trained
from cliplab.encoders.weights import read_checkpoint
from cliplab.priors import saved as priors
from cliplab.runtime.errors import CliplabError, DataError, UsageError
from cliplab.runtime.shipped import ENCODER, MASKED_PRIOR, PRIOR, TOKENIZER, WEIGHTS
from cliplab.runtime.storage import read_json
from cliplab.tokenizers import saved as tokenizers

MOST_WEIGHTS = 16_000_000  # bytes of safetensors, all together
MOST_OTHER = 5 << 20  # bytes of any other file


def ship_encoder(folder: Path, out: Path) -> None:
    """Write an encoder (`cliplab train clip`) with float16 matrices and the tokens in use alone."""
    config, notes = trained.read_config(folder), read_json(folder / trained.NOTES)
    checkpoint = read_checkpoint(trained.weights_in(folder))
    if checkpoint.tokens is None:
        raise DataError(f"{folder} does not say which tokens its captions used. Train it anew.")
    trained.save_trained(
        out,
        checkpoint.state,
        config["model_cfg"],
        config["preprocess_cfg"],
        portable(notes),
        tokens=checkpoint.tokens,
        prune=True,
        half=True,
    )


def ship_tokenizer(folder: Path, out: Path) -> None:
    """Write a tokenizer (`cliplab train tokenizer`) with float16 weights."""
    made, about = tokenizers.read_tokenizer(folder), tokenizers.read_about(folder)
    del about["recipe"]
    tokenizers.save_tokenizer(out, made.model, made.recipe, portable(about), half=True)


def ship_prior(folder: Path, out: Path) -> None:
    """Write a prior (`cliplab train prior`) with float16 weights."""
    made = priors.read_prior(folder)
    about = portable({key: value for key, value in made.about.items() if key != "sizes"})
    priors.save_prior(out, made.network, made.sizes, about, half=True)


KINDS: Mapping[str, Callable[[Path, Path], None]] = {
    TOKENIZER: ship_tokenizer,
    ENCODER: ship_encoder,
    PRIOR: ship_prior,
    MASKED_PRIOR: ship_prior,
}
"""What can be shipped, by the name of its folder."""


def portable(notes: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out of notes the format, which the writer states, and folders of a machine."""
    left_out = ("format_version", "tokenizer_name", "encoder_name")
    found = {key: value for key, value in notes.items() if key not in left_out}
    if "data_set" in found:
        found["data_set"] = Path(found["data_set"]).name
    return found


def ship(folders: Mapping[str, Path], weights: Path = WEIGHTS) -> None:
    """Write the folders of some kinds into `weights`, if all that would then be there is small.

    Model cards that lie there stay.

    Raises
    ------
    DataError
        A folder without a whole training; or too much to come with a package. Nothing is changed.
    """
    with tempfile.TemporaryDirectory() as made:
        for kind, folder in folders.items():
            KINDS[kind](folder, Path(made) / kind)
        check_priors(weights, Path(made))
        check_sizes(weights, Path(made))
        for path in sorted(p for p in Path(made).rglob("*") if p.is_file()):
            target = weights / path.relative_to(made)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def check_priors(weights: Path, made: Path) -> None:
    """Raise `DataError` where a prior in `made` does not go with what is shipped beside it."""
    for kind, decoder in ((PRIOR, "autoregressive"), (MASKED_PRIOR, "masked")):
        if not (made / kind).is_dir():
            continue
        prior = priors.read_prior(made / kind)
        if prior.sizes.decoder != decoder:
            raise DataError(f"{kind} is to be {decoder}; this one is {prior.sizes.decoder}.")
        for what, identity, file in (
            (TOKENIZER, prior.tokenizer, tokenizers.WEIGHTS),
            (ENCODER, prior.encoder, trained.WEIGHTS),
        ):
            path = next((p for r in (made, weights) if (p := r / what / file).is_file()), None)
            there = path and hashlib.sha256(path.read_bytes()).hexdigest()
            if identity is not None and identity["weights"] != there:
                raise DataError(
                    f"The {kind} was trained with another {what} than is shipped. Ship that one, "
                    "or train the prior anew on the shipped one."
                )


def check_sizes(weights: Path, made: Path) -> None:
    """Raise `DataError` where what lies in `weights`, and `made` over it, is too much to ship."""
    sizes: dict[Path, int] = {}
    for root in (weights, made):
        for path in root.rglob("*"):
            if path.is_file():
                sizes[path.relative_to(root)] = path.stat().st_size
    tensors = {path: size for path, size in sizes.items() if path.suffix == ".safetensors"}
    faults = [
        f"{path} has {size / 1e6:.1f} MB, more than {MOST_OTHER / 1e6:.1f}"
        for path, size in sizes.items()
        if path not in tensors and size > MOST_OTHER
    ]
    if (total := sum(tensors.values())) > MOST_WEIGHTS:
        listing = ", ".join(f"{path.parent} {size / 1e6:.2f}" for path, size in tensors.items())
        limit = MOST_WEIGHTS / 1e6
        faults.append(f"the weights have {total / 1e6:.1f} MB, more than {limit:.0f} ({listing})")
    if faults:
        raise DataError(f"Too much to come with a package: {'; '.join(faults)}. Train it smaller.")


def main() -> None:
    """Ship what the options name, and print the sizes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for kind in KINDS:
        parser.add_argument(f"--{kind}", type=Path, metavar="FOLDER", help=f"of a trained {kind}")
    given = vars(parser.parse_args())
    folders = {kind: given[kind.replace("-", "_")] for kind in KINDS}
    try:
        if not any(folders.values()):
            raise UsageError(f"Name what to ship: --{' FOLDER, --'.join(KINDS)} FOLDER.")
        ship({kind: folder for kind, folder in folders.items() if folder is not None})
    except CliplabError as error:
        parser.exit(1, f"{error}\n")
    for path in sorted(WEIGHTS.rglob("*.safetensors")):
        print(f"{path.stat().st_size / 1e6:6.2f} MB  {path.relative_to(WEIGHTS)}")


if __name__ == "__main__":
    main()
