"""Weights to an `Encoder`, one family a file."""
