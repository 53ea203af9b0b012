"""What is known of users and items, as of a moment."""
