"""Hold one file per source format; a class decorated by @source_format joins by itself."""
