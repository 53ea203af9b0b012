"""Declare and load the settings."""
