"""Share algorithms, array operations and base classes among candidate sources."""
