"""Rank candidates: training examples, features, labels and the scorer."""
