"""The one exception a user is meant to read."""


class InputError(Exception):
    """Something the caller gave cannot be used.

    The message is one line: what is wrong, where, and the remedy. The command line prints it after ``vosedu:`` and
    exits with status 2; from Python it arrives as this exception.
    """
