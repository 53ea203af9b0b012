"""Fits a model to the examples: snapshot, feed, loop, ranks, and a report beside baselines."""
