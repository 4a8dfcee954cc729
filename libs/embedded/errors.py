"""Faults of the embedded servers. Each message says what is wrong and what to do about it."""

from libs.common.servers import ServersUnavailable


class EmbeddedError(ServersUnavailable):
    """The embedded servers cannot be had."""


class BinariesMissingError(EmbeddedError):
    """No server program was found for this machine."""


class DataDirUnusableError(EmbeddedError):
    """The data directory is of another version, belongs to somebody else or cannot be reached."""


class StartFailedError(EmbeddedError):
    """A server program was started and did not become ready; the text holds the end of its log."""
