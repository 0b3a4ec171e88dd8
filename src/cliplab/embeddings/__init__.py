"""Pictures and texts to vectors, kept on disk."""
