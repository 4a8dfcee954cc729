"""Limits of gRPC, shared by servers and clients so that neither sends what the other refuses."""

from typing import Final

MESSAGE_BYTES_MAX: Final = 16 * 1024 * 1024
"""Largest request between our own services, and largest answer: a batch of 500 items of up to 32 KiB each."""
CLIENT_MESSAGE_BYTES_MAX: Final = 4 * 1024 * 1024
"""Largest request of a client where it may hold lists: batches, definitions, pieces of a file."""
CLIENT_PLAIN_BYTES_MAX: Final = 64 * 1024
"""Largest request of a client that holds no list. The largest that a contract allows has some 20 KiB."""
CALLS_MAX: Final = 1_000
"""Most calls of clients that a server works on at once, and as many of our own services; more are refused at once.
Calls of open services are not among them."""
CLIENT_CALLS_MAX: Final = 200
"""Most calls of one client among them."""
CLIENT_RATE_DEFAULT: Final = 2_000
"""Calls a second of one client, unless configured otherwise; two seconds' worth at once."""
CLIENTS_REMEMBERED_MAX: Final = 10_000
"""Clients whose use is remembered; those with nothing under way are forgotten first."""
READS_MAX: Final = 16
"""Messages of clients that are received at once. Each may have MESSAGE_BYTES_MAX before its size is known."""
CLIENT_READS_MAX: Final = 4
"""The same of one client."""
READ_MAX_S: Final = 10.0
"""How long a client may take to send one message."""
PARSED_BYTES_MAX: Final = 256 * 1024 * 1024
"""Memory that requests of clients under way may take, by an estimate that is never too low."""
CLIENT_PARSED_BYTES_MAX: Final = 64 * 1024 * 1024
"""The same of one client. What alone is estimated higher is refused."""
ROOM_WAIT_MAX_S: Final = 2.0
"""How long a call waits to be received or parsed."""
ROOM_WAITING_MAX: Final = 1_000
"""Calls that wait for that."""
DEADLINE_DEFAULT_S: Final = 30.0
"""For calls without a deadline of their own."""
STREAM_DEADLINE_DEFAULT_S: Final = 600.0
"""The same for calls that answer with a stream."""
OPEN_MESSAGE_BYTES_MAX: Final = 4 * 1024
"""Largest request to a service that is open to anybody."""
OPEN_IDLE_MAX_S: Final = 5.0
"""How long such a call may say nothing."""
OPEN_DEADLINE_S: Final = 60.0
"""How long such a call lasts at most; Health.Watch lasts as other streams."""
STREAMS_MAX: Final = 256
"""Calls at once on one connection; a client's library holds back further ones."""
CONNECTIONS_MAX: Final = 2_000
CONNECTION_IDLE_MAX_MS: Final = 60_000
"""A connection without a call for so long is closed; a channel connects again by itself."""
HANDSHAKE_MAX_MS: Final = 10_000
"""How long a new connection may take to say that it speaks HTTP/2."""
KEEPALIVE_MS: Final = 20_000
"""How often an idle connection is probed."""
KEEPALIVE_TIMEOUT_MS: Final = 5_000
"""How long a probe may go unanswered before the connection counts as lost."""
