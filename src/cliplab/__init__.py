"""How well does CLIP see your pictures? And a small model that learns to draw them."""

__version__ = "0.1.0"
