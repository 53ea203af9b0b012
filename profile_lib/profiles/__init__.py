"""What a profile is, and how it is kept fresh."""
