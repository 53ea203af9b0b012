"""Hold one file per encoder family; a class decorated by ENCODERS.register joins by itself."""
