"""Attribute outcomes to impressions, and judge lists, policies and experiments by them."""
