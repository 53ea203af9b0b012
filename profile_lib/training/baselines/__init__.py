"""Fit models of numbers alone, and join them with the network."""
