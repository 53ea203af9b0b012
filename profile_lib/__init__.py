"""From a shop's clicks to user profiles."""
