"""The one tree of errors.

A user's mistake is one line that names the key, the value and what is allowed.
"""


class ArchwrightError(Exception):
    """Root of every error that Archwright raises on purpose."""


class UserError(ArchwrightError):
    """A mistake of the user's: shown as one line, exit status 2, no traceback.

    What is not printable (in a file's name, in a key of a foreign file) is escaped, so
    that the message stays one line and cannot steer a terminal.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class BriefError(UserError):
    """The brief is wrong: an unknown key, an impossible range, a missing file."""


class SpaceError(UserError):
    """A point or a restriction does not fit its space."""


class DataError(UserError):
    """A data set cannot be used: missing, too large, mismatched or out of range."""


class UntrustedFileError(UserError):
    """A file asks for something it must not have: code, other folders, too much memory."""


class SettingsError(UserError):
    """The user's settings file is wrong, or what it points to is missing."""


class RunError(UserError):
    """A run does not exist, is used by another process, or cannot be resumed."""


class RunStopped(ArchwrightError):
    """A run was asked to stop before it had anything to report."""


class RunWaits(ArchwrightError):
    """A run waits for the user's word on proposed designs; it goes on when it has it."""


class MeasurementFailed(ArchwrightError):
    """An instrument could not measure a subject; becomes a failed row, never ends a run."""


class ModelFailure(ArchwrightError):
    """A language model gave no usable answer; the rule-based mind answers instead."""


class BudgetSpent(ArchwrightError):
    """A limit on the use of language models is reached: nothing was sent.

    ``limit`` is requests, tokens, dollars or seconds, ``scope`` whose it is (run, round or
    session), ``allowed`` its size; ``committed`` is spent or in flight by now, and a request
    would have needed up to ``asked`` more.
    """

    def __init__(
        self, limit: str, scope: str, allowed: float, committed: float, asked: float
    ) -> None:
        self.limit, self.scope = limit, scope
        self.allowed, self.committed, self.asked = allowed, committed, asked
        figures = {"dollars": ".4f", "seconds": ".1f"}.get(limit, ".0f")
        spent = f"{committed:{figures}} of {allowed:{figures}} are spent or in flight"
        needed = f", a request may need {asked:{figures}}" if asked else ""
        super().__init__(f"{limit} of the {scope}: {spent}{needed}")


class UnknownOperators(UserWarning):
    """A network has operators that became no layer: they are listed, with their share."""


def shown(value: object) -> str:
    """``value`` as an error message quotes it: its ``repr``, at most 80 characters."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of over 4,300 digits; deep nesting
        text = f"({type(value).__name__})"
    return text if len(text) <= 80 else f"{text[:77]}..."


def printable(text: str) -> str:
    """``text`` on one line, with what could steer a terminal escaped."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
