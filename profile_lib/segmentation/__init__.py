"""Group users by recency and orders, by interests, by similarity and by rules."""
