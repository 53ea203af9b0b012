"""Draft a mapping from samples of a source's files, for a person to finish."""
