"""Sources of labelled pictures, one file each; each hands on a `Dataset`."""
