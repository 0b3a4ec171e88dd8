"""The pictures of a page, each once, within a budget; what shows one names its place."""

from __future__ import annotations

from collections.abc import Sequence

from cliplab.nouns import Dataset
from cliplab.report.scored_pictures import rows_by_id
from cliplab.report.thumbnails import thumbnails

BUDGET = 9_500_000  # characters of all pictures together: under 10 MB with what is around them
LARGE, SMALL = 176, 120  # pixels of the longer side, of few pictures and of many
MANY = 400  # pictures, from which they are small


class Shelf:
    """Thumbnails by data set and id."""

    def __init__(self, budget: int = BUDGET) -> None:
        self.addresses: list[str] = []  # `data:` addresses; a picture's place is its index
        self._left = budget
        self._places: dict[tuple[str, str], int] = {}

    def place(self, data_set: str, id_: str) -> int | None:
        """Give the place of a picture; None: it is not here. `data_set` is a content digest."""
        return self._places.get((data_set, id_))

    def fill(
        self, data: Dataset, ids: Sequence[str], *, edge: int | None = None, share: float = 1.0
    ) -> None:
        """Put pictures here, the first first, until `share` of what is left is used up.

        One that is here already costs nothing; one that cannot be read is left out.
        """
        digest = data.content_digest()
        rows = rows_by_id(data)
        new = [id_ for id_ in dict.fromkeys(ids) if self.place(digest, id_) is None]
        row_of = {rows[id_]: id_ for id_ in new if id_ in rows}
        budget = int(share * self._left)
        side = edge or (SMALL if len(row_of) > MANY else LARGE)
        for row, address in thumbnails(data.source, row_of, edge=side, budget=budget).items():
            self._places[digest, row_of[row]] = len(self.addresses)
            self.addresses.append(address)
            self._left -= len(address)
