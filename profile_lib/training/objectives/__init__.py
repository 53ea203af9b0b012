"""Define what a training loop minimises."""
