"""Attribute outcomes to impressions, and measure lists, policies and experiments by them."""
