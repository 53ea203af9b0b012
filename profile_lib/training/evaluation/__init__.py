"""Measure models on the test split and report the results."""
