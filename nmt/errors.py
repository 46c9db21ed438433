"""The one exception that a user can cause."""


class NmtError(Exception):
    """What is wrong and what to do about it, with the file:line or key that the user wrote.

    Commands print it on one line of stderr and exit with status 1; it never comes with a traceback.
    """
