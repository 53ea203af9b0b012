"""Provide the algorithms, array operations and base classes that candidate sources share."""
