"""Priors: how likely a grid of tokens is under a condition, and how one is drawn."""
