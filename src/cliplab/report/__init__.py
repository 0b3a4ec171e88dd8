"""Scores to a record, and records to tables."""
