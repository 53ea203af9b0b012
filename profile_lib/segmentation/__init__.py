"""Group users by recency, orders and spending, by interests, by similarity and by rules."""
