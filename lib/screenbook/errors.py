"""The one error a user is meant to read."""


class InputError(ValueError):
    """Something given to screenbook cannot be used as it is.

    The message is a single line that names the file, the column or parameter, the first bad
    row or value where there is one, and the mend. Command-line programs print it without a
    traceback and leave with status 2.
    """
