"""Bytes to pixels: decoding, preprocessing, and a loader that is ordered, bounded and parallel."""
