"""Hold one file per runtime; a class decorated by RUNTIMES.register joins by itself."""
