"""How drawings are told of: what was drawn, by what, and where it lies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cliplab.drawings import Drawings


def drawn(made: Drawings, out: Path, *, json: bool) -> None:
    """Print what was drawn, by what, and where it lies; of reranked drawings both orders' means."""
    from cliplab.cli.show import as_json

    if json:
        as_json({"out": out, **made.as_json()})
        return
    settings = made.settings
    sampling = settings["sampling"]
    print(
        f"prior {settings['prior']['name']} ({settings['prior']['decoder']}) · guidance "
        f"{sampling['guidance']:g} · temperature {sampling['temperature']:g} · seed {made.seed}"
    )
    for group in made.groups:
        print(f"{len(group.pixels):,} drawings of {group.text}")
        if ranked := group.reranked:
            told = ranked.as_json()
            print(
                f"  ordered by {ranked.encoder}: mean cosine {told['mean_with']:.3f}, "
                f"{told['mean_without']:.3f} as they were drawn"
            )
    print(f"drawings: {out}")
