"""One kind of error reaches the user: a line that says what is wrong, where, and what to do."""


class ImportRefused(Exception):
    """Nothing was written under its final name."""
