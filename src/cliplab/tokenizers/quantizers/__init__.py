"""From the encoder's head to codes and tokens, and back: one method a file."""
