"""Measure classifications and rankings, in numpy and on Spark."""
