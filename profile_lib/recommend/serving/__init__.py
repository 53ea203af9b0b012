"""Build lists with reasons, for a batch of users or a single user."""
