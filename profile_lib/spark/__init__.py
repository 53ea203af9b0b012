"""Start Spark, and share what several stages do with it."""
