"""`cliplab train`: networks trained on your own pictures, resumed exactly when killed."""

from __future__ import annotations

import typer

app = typer.Typer(no_args_is_help=True, help="Train on your own pictures; resumes when killed.")
