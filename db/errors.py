"""The root of every error that a person can act on; it uses the standard library alone."""


class TomocurateError(Exception):
    """One sentence for a person: what is wrong, where, and what would be right."""
