"""The pictures that a run scored, found again: the same data set, the same content, or a reason."""

from __future__ import annotations

from pathlib import Path

from cliplab.nouns import Dataset, Record
from cliplab.runtime.errors import CliplabError, DataError


def find_pictures(record: Record, home: Path | None = None) -> Dataset:
    """Open the data set of a run again, by its name and then by the place where it lay.

    Parameters
    ----------
    record
        Of the run.
    home
        Folder of what is kept between runs; None: `CLIPLAB_HOME`.

    Raises
    ------
    DataError
        The data set is no longer to be had, or its content is another one; it says why.
    """
    from cliplab.datasets.family import open_dataset

    block = record["dataset"]
    why = ""
    for name in dict.fromkeys(filter(None, (block["name"], block.get("location")))):
        try:
            data = open_dataset(name, home=home).dataset
        except (CliplabError, OSError) as error:
            why = why or str(error).partition("\n")[0]
            continue
        if record["config"].get("deduplicate"):
            from cliplab.datasets.duplicates import deduplicated

            data = deduplicated(data)
        if data.content_digest() == block["digest"]:
            return data
        why = f"{name} does not hold what was scored: pictures, labels or splits were changed."
    raise DataError(why or f"The data set {block['name']} is no longer to be had.")


def rows_by_id(data: Dataset) -> dict[str, int]:
    """Give the data set's row of each id."""
    return {str(id_): row for row, id_ in enumerate(data.ids)}
