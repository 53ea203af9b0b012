"""Build user profiles and keep them fresh."""
