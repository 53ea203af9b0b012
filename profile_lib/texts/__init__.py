"""Normalise texts in plain Python, and recognise their language."""
