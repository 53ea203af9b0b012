"""Compute on numpy arrays and Arrow batches, without a loop over rows."""
