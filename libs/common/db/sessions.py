"""What sessions of a service's role are set to: said by the pool at each connect, and by `migrate` of the role itself,
for connections through a pooler, which takes no settings."""

from collections.abc import Mapping
from typing import Final

ROLE: Final[Mapping[str, str]] = {
    # In milliseconds.
    "statement_timeout": "35000",
    "lock_timeout": "20000",
    # A process that stands still (stopped, paged out) loses its transaction and with it its row locks.
    "idle_in_transaction_session_timeout": "60000",
    "jit": "off",
    # A statement's plan is made once a connection. Made again for each batch, as the server prefers where a batch's
    # arrays are short, plans cost more than many of the statements. `pool.replanned` is for those that it does not fit.
    "plan_cache_mode": "force_generic_plan",
}

SETTINGS: Final[Mapping[str, str]] = {
    **ROLE,
    # The value a session falls back to after each transaction: no team at all. (Not the role's: its owner may not be
    # allowed to set it, and where it is missing it means the same.)
    "omnijourney.teams": "{}",
}
