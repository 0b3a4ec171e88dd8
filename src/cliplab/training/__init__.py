"""The one loop that everything trained here uses."""
