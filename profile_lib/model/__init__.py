"""Define the profile model: its layers, its description and its folder on disk."""
