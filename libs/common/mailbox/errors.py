"""What can go wrong with a mailbox. The hot calls report the first two per partition in their results, so
that others go on.
"""

from __future__ import annotations

from collections.abc import Iterable


class PartitionError(Exception):
    """A fault of some partitions."""

    def __init__(self, message: str, partitions: Iterable[int]) -> None:
        self.partitions = sorted(partitions)
        super().__init__(f"{message}: partitions {self.partitions}")


class Fenced(PartitionError):
    """A newer owner holds the partitions: whatever was decided for them must be thrown away."""

    def __init__(self, partitions: Iterable[int]) -> None:
        super().__init__("another owner holds them", partitions)


class MailboxLost(PartitionError):
    """The server forgot mail of the partitions (wiped, restarted, failed over): the owner must repair them
    from the sources.
    """

    def __init__(self, partitions: Iterable[int]) -> None:
        super().__init__("mail was lost, repair from the sources", partitions)


class MailboxOfAnother(Exception):
    """The server holds the mail of another installation."""

    def __init__(self, where: str) -> None:
        """`where` the other one's database is."""
        super().__init__(
            f"it holds the mail of the installation whose database is {where}: each needs a Redis, or a database number"
            " of it, of its own. If that one is gone, or this database was restored from it, empty that Redis and start"
            " again: mail is made anew from PostgreSQL"
        )


class MailboxUnavailable(Exception):
    """The server cannot be reached or does not answer in time; whether the call took effect is not known.
    Repeat it.
    """
