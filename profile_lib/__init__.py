"""Turn a shop's clickstream into user profiles."""
