"""The exception whose message is for the user."""

import errno


class InputError(Exception):
    """Something the caller gave cannot be used.

    The message is one line: what is wrong, where, and the remedy. The command line prints it after ``vosedu:`` and
    exits with status 2; from Python it arrives as this exception.
    """


def file_error(error: OSError) -> InputError:
    """What the system says of a file or folder, as one line with a remedy."""
    where = error.filename or "the output folder"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return InputError(f"cannot write to {where} ({error.strerror}): free some space or choose another --out, then run "
                          "the same command again")
    return InputError(f"{where}: {error.strerror or error}: check the path and its permissions")
