"""Arrays to numbers: pure functions that never see a path, a device or a model."""
