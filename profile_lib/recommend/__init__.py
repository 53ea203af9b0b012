"""What profiles are for: which items a user may want next, from where, and why."""
