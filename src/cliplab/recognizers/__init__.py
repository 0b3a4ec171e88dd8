"""The classifier of drawings that scores reconstructions and samples."""
