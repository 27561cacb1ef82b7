"""How a procedure of a page ends: with what it gives, or refused with a code."""


class Refused(Exception):
    """The code that the page names, and what comes with it."""

    def __init__(self, code, **output):
        super().__init__(code)
        self.code = code
        self.output = output


def demand(holds, code, **output):
    if not holds:
        raise Refused(code, **output)
