"""Compute what is known about users and items as of a cutoff."""
