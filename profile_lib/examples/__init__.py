"""Cutoffs, labels and splits: what a model is asked, and what is the right answer."""
