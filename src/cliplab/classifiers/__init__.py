"""Embeddings to predictions, one method a file."""
