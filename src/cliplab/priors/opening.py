"""Priors by name: a folder that was trained, or `quickdraw`, which comes with cliplab."""

from __future__ import annotations

from pathlib import Path

from cliplab.priors.saved import SavedPrior, read_prior
from cliplab.priors.transformer import DECODERS
from cliplab.runtime.devices import choose_device
from cliplab.runtime.errors import UnknownName, UsageError
from cliplab.runtime.shipped import MASKED_PRIOR, PRIOR, shipped
from cliplab.runtime.shipped import NAME as QUICKDRAW

_SHIPPED = {"autoregressive": PRIOR, "masked": MASKED_PRIOR}


def load_prior(
    name: str | Path = QUICKDRAW, *, decoder: str | None = None, device: str = "cpu"
) -> SavedPrior:
    """Give a prior by the name that a user gives it.

    Parameters
    ----------
    name
        An existing folder first, one that `cliplab train prior` made. Then `quickdraw`, which
        comes with cliplab.
    decoder
        "autoregressive" or "masked": of `quickdraw` which of the two, of a folder what it must be.
        Default: a folder's own, `quickdraw`'s autoregressive one.
    device
        "auto", "cpu", "cuda", "cuda:1", "mps".

    Returns
    -------
    SavedPrior
        It obeys the contract of `nouns.Prior`.

    Raises
    ------
    UnknownName
        There is no such folder, and no prior of that name; or no such decoder.
    UsageError
        The folder's prior has the other decoder.
    DataError
        The folder holds no whole prior, or its training was cut off.
    MissingWeights
        The installation lacks the weights that come with cliplab.
    """
    if decoder is not None and decoder not in DECODERS:
        raise UnknownName("decoder", decoder, DECODERS)
    folder, device = Path(name).expanduser(), choose_device(device)
    if not folder.is_dir():
        if str(name) != QUICKDRAW:
            where = "(nor is there a folder of that name)"
            raise UnknownName("prior", str(name), (QUICKDRAW,), hint=where)
        found = read_prior(shipped(_SHIPPED[decoder or DECODERS[0]]), device=device)
        found.name = QUICKDRAW
        return found
    found = read_prior(folder, device=device)
    if decoder not in (None, found.sizes.decoder):
        raise UsageError(
            f"The prior {name} is {found.sizes.decoder}, and --decoder {decoder} was asked for. "
            "Leave --decoder out, or name a prior that was trained with it."
        )
    return found
