"""Users put together: by recency, frequency and money, by interests, by likeness, by a rule."""
