"""Build training examples: cutoffs, labels and splits."""
