"""The one tree of errors.

A user's mistake is one line that names the key, the value and what is allowed.
"""


class ArchwrightError(Exception):
    """Root of every error that Archwright raises on purpose."""


class UserError(ArchwrightError):
    """A mistake of the user's: shown as one line, exit status 2, no traceback."""


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


class MeasurementFailed(ArchwrightError):
    """An instrument could not measure a subject; becomes a failed row, never ends a run."""


class ModelFailure(ArchwrightError):
    """A language model gave no usable answer; the rule-based mind answers instead."""


class BudgetSpent(ArchwrightError):
    """A limit (evaluations, hours, tokens, dollars) is reached."""
