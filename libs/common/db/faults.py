"""Which faults of the database pass by themselves. Everything else is a fault of the statement or of its data."""

from typing import Final

import asyncpg

from libs.common.errors import NoConnection

SERVER_AWAY: Final = (
    asyncpg.InterfaceError,  # a connection or pool that was closed under the statement
    asyncpg.InternalClientError,  # the driver's own confusion when the server ends a connection between statements
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # starting, stopping, crashed, statement cancelled
    asyncpg.InsufficientResourcesError,  # connections, memory, disk
    asyncpg.IdleInTransactionSessionTimeoutError,
)
"""What the driver says of a server that is away."""

AWAY: Final = (
    OSError,  # the network's; TimeoutError is one: a statement that took too long
    NoConnection,  # the pool's: all are in use, or one took too long to be opened
    *SERVER_AWAY,
)
"""The server does not answer, or not now: try again later. Whether a commit happened is not known."""

COLLIDED: Final = (
    asyncpg.TransactionRollbackError,  # serialization, deadlock
    asyncpg.LockNotAvailableError,
)
"""Two transactions met and this one was undone: try again at once."""

PASSING: Final = AWAY + COLLIDED
"""Either; for workers that go on with their batch later."""
