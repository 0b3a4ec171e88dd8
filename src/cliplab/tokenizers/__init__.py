"""Image tokenizers: pixels to a grid of integers and back."""
