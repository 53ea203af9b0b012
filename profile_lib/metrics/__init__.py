"""Measure classifications, regressions and rankings, with numpy and on Spark."""
