"""Train on several processes."""
