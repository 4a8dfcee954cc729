"""Limits of gRPC, shared by servers and clients so that neither sends what the other refuses."""

from typing import Final

MESSAGE_BYTES_MAX: Final = 16 * 1024 * 1024
"""Largest request or answer: a batch of 500 items of up to 32 KiB each."""
CALLS_MAX: Final = 1_000
"""Most calls that a server works on at once; more are refused at once with RESOURCE_EXHAUSTED."""
DEADLINE_DEFAULT_S: Final = 30.0
"""For calls without a deadline of their own."""
STREAM_DEADLINE_DEFAULT_S: Final = 600.0
"""The same for calls that answer with a stream."""
KEEPALIVE_MS: Final = 20_000
"""How often an idle connection is probed."""
KEEPALIVE_TIMEOUT_MS: Final = 5_000
"""How long a probe may go unanswered before the connection counts as lost."""
