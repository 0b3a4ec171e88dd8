"""The bed that both rivers flow over: errors, storage, devices, progress, randomness."""
