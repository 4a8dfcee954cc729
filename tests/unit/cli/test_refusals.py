"""A refused call says why; a call that nobody could answer says what to do."""

from __future__ import annotations

import grpc
import pytest

from libs.cli.console import refusal_of


def _failed(code: grpc.StatusCode, details: str) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details=details)


@pytest.mark.parametrize(
    ("details", "place"),
    [
        (
            "connections to all backends failing; last error: UNKNOWN: ipv4:127.0.0.1:7404: Failed to connect to remote"
            " host: Connection refused",
            " at 127.0.0.1:7404:",
        ),
        (
            "failed to connect to all addresses; last error: UNKNOWN: ipv6:%5B::1%5D:7404: Failed to connect",
            " at %5B::1%5D:7404:",
        ),
        ("DNS resolution failed for segment:7404: C-ares status is not ARES_SUCCESS", "nothing serves:"),
    ],
)
def test_where_nothing_serves_the_remedy_is_said(details: str, place: str) -> None:
    said = refusal_of(_failed(grpc.StatusCode.UNAVAILABLE, details))
    assert place in said
    assert "`omnijourney up`" in said
    assert "Failed to connect" not in said


def test_a_refusal_is_told_in_the_services_words() -> None:
    assert (
        refusal_of(_failed(grpc.StatusCode.NOT_FOUND, "there is no such team"))
        == "NOT_FOUND: there is no such team"
    )
    assert refusal_of(_failed(grpc.StatusCode.UNAVAILABLE, "draining")) == "UNAVAILABLE: draining"
