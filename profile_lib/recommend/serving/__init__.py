"""Make lists with reasons, for a batch or a single user."""
