"""Split histories, and measure how well sources find held-out items."""
