"""Propose candidates: one file per source, all in one registry (`registry.py`)."""
