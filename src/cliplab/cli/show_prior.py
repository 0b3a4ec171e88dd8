"""What the command line prints of a prior."""

from __future__ import annotations

from pathlib import Path

from cliplab.cli.show import as_json


def trained(folder: Path, *, json: bool) -> None:
    """Print where the prior lies and what its training came to."""
    from cliplab.priors.saved import read_about
    from cliplab.priors.training import in_words

    about = read_about(folder)
    if json:
        as_json({"prior": folder, **about})
        return
    losses, bits = about["losses"], about["bits_a_drawing"]
    left_out = f", {about['n_skipped']} that cannot be read left out" if about["n_skipped"] else ""
    print(f"trained on {about['n_train']:,} drawings of {about['data_set']}{left_out}")
    print(f"loss {losses[0]:.3f} in the first epoch, {losses[-1]:.3f} in the last of {len(losses)}")
    if bits is not None:
        print(f"{in_words(bits)} bits for each of {bits['n']:,} held-out drawings")
    print(f"the prior: {folder}")
