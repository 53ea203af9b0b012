"""Find personal data in folded texts, one module per family of kinds."""

Span = tuple[int, int]  # the characters [start, end) of a text
