"""The JSON Schemas (2020-12) of the records, beside this file, and the check against them."""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import Any

from cliplab.runtime.errors import Faults


@functools.cache
def read_schema(name: str) -> dict[str, Any]:
    """Read a schema by the name of its file."""
    text = resources.files("cliplab.report").joinpath(name).read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def check_shape(data: object, name: str, where: str) -> None:
    """Check the data of a record against the schema; a DataError names every fault."""
    import jsonschema

    faults = Faults()
    errors = jsonschema.Draft202012Validator(read_schema(name)).iter_errors(data)
    for error in sorted(errors, key=lambda e: [str(step) for step in e.absolute_path]):
        place = error.json_path.removeprefix("$").lstrip(".") or "the whole"
        faults.add(f"{place}: {error.message[:240]}")
    faults.raise_any(f"{where} does not have the shape of the schema ({name}):")
