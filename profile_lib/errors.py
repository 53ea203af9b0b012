"""The one error that a user can mend: jobs print it as a sentence and end with exit code 1."""


class InputError(ValueError):
    """Bad input; the message says where, what was found, what was wanted and what to do."""
