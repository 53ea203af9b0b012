"""A shop with known truth: who its people are, what it sells, how they visit, what goes wrong."""
