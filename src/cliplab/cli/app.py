"""The application: its commands in the order of a first day's work, and how it ends."""

from __future__ import annotations

import errno
import os
import sys
import warnings
from collections.abc import Sequence

import typer

from cliplab.runtime.errors import CliplabError
from cliplab.runtime.progress import say

SEE, DRAW, KEEP = "See: how well CLIP sees", "Train, and draw", "What there is"

app = typer.Typer(
    name="cliplab",
    help="How well does CLIP see your pictures? And a small model that learns to draw them.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def register() -> None:
    """Put the commands into the application; once."""
    if app.registered_commands:
        return
    from cliplab.cli import (
        audit,
        classify,
        compare,
        data,
        demo,
        embed,
        encoders,
        evaluate,
        report,
        runs,
        train,
        transfer,
    )
    from cliplab.cli import reproduce as reproducing
    from cliplab.cli.draw import draw
    from cliplab.cli.evaluate_drawings import evaluate_drawings
    from cliplab.cli.reconstruct import reconstruct
    from cliplab.cli.tokenize import tokenize

    app.command(rich_help_panel=SEE)(demo.demo)
    app.command(rich_help_panel=SEE)(evaluate.evaluate)
    app.command(rich_help_panel=SEE)(classify.classify)
    app.command(rich_help_panel=SEE)(compare.compare)
    app.command(rich_help_panel=SEE)(report.report)
    app.command(rich_help_panel=SEE)(transfer.transfer)
    app.command(rich_help_panel=SEE)(audit.audit)
    app.command(rich_help_panel=SEE)(reproducing.reproduce)
    app.command(rich_help_panel=SEE)(embed.embed)
    app.add_typer(train.app, name="train", rich_help_panel=DRAW)
    app.command(rich_help_panel=DRAW)(draw)
    app.command(rich_help_panel=DRAW)(reconstruct)
    app.command(rich_help_panel=DRAW)(tokenize)
    app.command(rich_help_panel=DRAW)(evaluate_drawings)
    app.command(rich_help_panel=KEEP)(data.datasets)
    app.command(rich_help_panel=KEEP)(data.prepare)
    app.command(rich_help_panel=KEEP)(encoders.encoders)
    app.command(rich_help_panel=KEEP)(runs.runs)


def _version(wanted: bool) -> None:
    if wanted:
        import cliplab

        print(f"cliplab {cliplab.__version__}")
        raise typer.Exit()


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and stop."
    ),
) -> None:
    pass


def run(arguments: Sequence[str] | None = None) -> None:
    """Parse and run; a fault ends in a message and an exit code, never in a traceback.

    `CLIPLAB_TRACEBACK=1` in the environment shows the traceback of a failure as well.
    """
    register()
    warnings.showwarning = _show_warning
    try:
        app(None if arguments is None else list(arguments))
    except CliplabError as error:
        _end(error, str(error) or type(error).__name__, error.exit_code)
    except OSError as error:
        _end(error, _of_system(error), 1)
    except MemoryError as error:
        _end(error, "Out of memory: try a smaller --batch-size or fewer --workers.", 1)


def _end(error: BaseException, message: str, code: int) -> None:
    if os.environ.get("CLIPLAB_TRACEBACK"):
        raise error
    say(f"cliplab: {message}")
    sys.exit(code)


def _of_system(error: OSError) -> str:
    place = f" at {error.filename}" if error.filename else ""
    advice = {
        errno.ENOSPC: "Free some space, or give another place with --home DIR or --out DIR.",
        errno.EROFS: "Give another place with --home DIR or --out DIR.",
        errno.EACCES: "Check the permissions, or give another place with --home DIR or --out DIR.",
    }.get(error.errno or 0, "What was there before is as it was; run the command again to go on.")
    return f"The operating system refused{place}: {error.strerror or error}. {advice}"


def _show_warning(message: Warning | str, *_where: object, **_more: object) -> None:
    say(f"cliplab: warning: {message}")
