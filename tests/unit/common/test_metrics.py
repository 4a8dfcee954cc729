"""How metrics are defined and served."""

import socket
import urllib.request

import pytest

from libs.common import metrics


def test_a_metric_carries_prefix_meaning_and_labels() -> None:
    counter = metrics.counter("unit_test_things_total", "Things of a test.", ("kind",))
    counter.labels("good").inc(3)
    definition = next(d for d in metrics.definitions() if d.name == "omnijourney_unit_test_things_total")
    assert (definition.kind, definition.meaning, definition.labels) == (
        "counter",
        "Things of a test.",
        ("kind",),
    )


@pytest.mark.parametrize(
    ("name", "meaning", "labels"),
    [
        ("things", "x", ()),
        ("other_total", "", ()),
        ("other_total", "x", ("customer_id",)),
        ("wait_ms", "x", ()),
    ],
)
def test_unclear_metrics_are_refused(name: str, meaning: str, labels: tuple[metrics.Label, ...]) -> None:
    with pytest.raises(ValueError, match=r"must end|needs a meaning|closed list"):
        metrics.gauge(name, meaning, labels)


def test_no_metric_is_defined_twice() -> None:
    metrics.gauge("unit_test_depth_count", "x")
    with pytest.raises(ValueError, match="twice"):
        metrics.gauge("unit_test_depth_count", "x")


def test_metrics_are_served_until_closed() -> None:
    metrics.gauge("unit_test_served_count", "x").set(5)
    endpoint = metrics.MetricsEndpoint("127.0.0.1", 0)
    address = ("127.0.0.1", endpoint.port)
    with urllib.request.urlopen(f"http://127.0.0.1:{endpoint.port}/metrics", timeout=5) as answer:
        assert b"omnijourney_unit_test_served_count 5.0" in answer.read()
    with pytest.raises(OSError, match="in use"):
        metrics.MetricsEndpoint(*address)
    endpoint.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=1)


def test_words_of_others_are_bounded() -> None:
    word = metrics.Words()
    assert [word(text) for text in ("LINE_400", "", "a text", "A" * 65)] == ["LINE_400", "", "OTHER", "OTHER"]
    many = {word(f"CODE_{number}") for number in range(metrics.WORDS_MAX + 10)}
    assert len(many) == metrics.WORDS_MAX - 1, "with those before, and OTHER"
    assert (word("LINE_400"), word("CODE_9999")) == ("LINE_400", "OTHER")
