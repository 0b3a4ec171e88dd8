"""The command line: a command parses, makes the configuration, calls one function, prints."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exits 0 done, 1 the work failed, 2 the call was wrong."""
    from cliplab.cli.app import run

    run(arguments)
