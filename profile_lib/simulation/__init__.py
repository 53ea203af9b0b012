"""Simulate the clickstream of a shop whose users are known exactly."""
