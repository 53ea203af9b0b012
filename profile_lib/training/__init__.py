"""Fit models to a snapshot of examples, and measure them."""
