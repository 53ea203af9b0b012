"""The sections of the settings: typed and strict, a file a field."""
