"""OpenAI's published tokenizer: `encoder.pkl` and `decoder.pkl`, whole modules pickled by PyTorch.

They are fetched once and kept under `HOME/tokenizers/openai/`, or read from a folder of the user's.
Their tensors alone are read (`runtime/tensor_pickles.py`); nothing of them is run.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from cliplab.runtime.downloads import Remote, fetch
from cliplab.runtime.errors import DataError, DownloadFailed
from cliplab.runtime.patience import Patience
from cliplab.runtime.progress import say
from cliplab.runtime.tensor_pickles import read_module
from cliplab.tokenizers.config import KL_PER_VALUE, PRESETS, Recipe
from cliplab.tokenizers.openai_weights import from_openai
from cliplab.tokenizers.saved import Tokenizer

NAME = "openai"
ENCODER, DECODER = "encoder.pkl", "decoder.pkl"
PLACE = "https://cdn.openai.com/dall-e/"
SIZE = 256  # pixels a side that it was trained at; any that its stride divides will do

_PACKAGES = ("dall_e", "torch.nn.modules")  # of the classes in the files; none is imported


def is_published(folder: Path) -> bool:
    """Tell whether a folder holds the two files, as they are published."""
    return (folder / ENCODER).is_file() and (folder / DECODER).is_file()


def read_published(folder: Path, *, name: str, device: str = "cpu") -> Tokenizer:
    """Give the tokenizer of a folder with `encoder.pkl` and `decoder.pkl`.

    Raises
    ------
    DataError
        A file is damaged, wants to build anything but tensors, or is no network of DALL-E's.
    """
    paths = (folder / ENCODER, folder / DECODER)
    model = from_openai(*(read_module(path, _PACKAGES) for path in paths))
    if model.config.outputs != 2 * model.config.channels:
        raise DataError(
            f"{folder / DECODER} gives {model.config.outputs} values a pixel, expected "
            f"{2 * model.config.channels}: a mean and a scale a channel, as OpenAI's does."
        )
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    training, sizes = PRESETS["dalle"], model.config
    recipe = Recipe(
        size=SIZE,
        channels=sizes.channels,
        codes=sizes.codes,
        width=sizes.width,
        groups=sizes.groups,
        blocks=sizes.blocks,
        quantizer="gumbel",
        objective="logit_laplace",
        steps=training.steps,
        batch_size=training.batch_size,
        lr=training.lr,
        kl_per_value=KL_PER_VALUE,
        seed=0,
        precision="fp32",
    )
    return Tokenizer(model, recipe, name=name, digest=digest.hexdigest(), device=device)


def fetch_published(home: Path, *, patience: Patience | None = None, place: str = PLACE) -> Path:
    """Give the folder of OpenAI's two files, downloaded if they are not there.

    Raises
    ------
    DownloadFailed
        They are not here and not to be had; the message says how to bring them by hand.
    """
    folder = home / "tokenizers" / NAME
    if is_published(folder):
        return folder
    say(f"OpenAI's tokenizer is downloaded to {folder} (some 390 MB, once).")
    try:
        for name in (ENCODER, DECODER):
            fetch(Remote(name, (place + name,)), folder, patience=patience or Patience(attempts=3))
    except DownloadFailed as error:
        reason = str(error).partition("\n")[2].strip().removeprefix("- ").partition("\n")[0]
        raise DownloadFailed(
            f"OpenAI's tokenizer is not here, and the network does not give it ({reason}). Fetch "
            f"{place}{ENCODER} and {place}{DECODER} by other means, put both into one folder, and "
            "give --tokenizer FOLDER."
        ) from error
    return folder
