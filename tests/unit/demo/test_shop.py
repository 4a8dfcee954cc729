"""Reading the shop's lines: what is an order, what a refund, what is neither, and what cannot be read."""

import gzip
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from libs.demo.expected import expect
from libs.demo.shop import read_shop
from libs.demo.stream import Item, Kind, SourceFault, Stream

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"


def line(  # noqa: PLR0917 - the columns of the file
    invoice: str = "536365",
    description: str = "WHITE HANGING HEART",
    quantity: str = "6",
    at: str = "2010-12-01 08:26:00",
    price: str = "2.55",
    customer: str = "17850.0",
) -> str:
    return f"{invoice},85123A,{description},{quantity},{at},{price},{customer},United Kingdom"


def read(tmp_path: Path, *lines: str, header: str = HEADER) -> Stream:
    path = tmp_path / "shop.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return read_shop(path)


def test_lines_of_one_invoice_are_one_order(tmp_path: Path) -> None:
    stream = read(
        tmp_path,
        line(at="2010-12-01 08:27:00"),
        line(description="", quantity="2", price="3.39", at="2010-12-01 08:26:00"),
        line(description="DISCOUNT", quantity="-1", price="0.5"),
    )
    [order] = stream.checkouts
    assert (order.kind, order.reference, order.member) == (Kind.ORDER, "536365", 17850)
    assert order.amount == Decimal("21.58")
    assert order.occurred_at == datetime(2010, 12, 1, 8, 26, tzinfo=UTC)
    assert order.items == (Item("WHITE HANGING HEART", 6), Item("", 2), Item("DISCOUNT", -1))


def test_a_cancellation_is_a_refund_of_what_it_gives_back(tmp_path: Path) -> None:
    stream = read(tmp_path, line("C536379", quantity="-1", price="27.50", customer="14527.0"))
    [refund] = stream.checkouts
    assert (refund.kind, refund.amount, refund.member) == (Kind.REFUND, Decimal("27.50"), 14527)


@pytest.mark.parametrize(
    ("invoice", "quantity", "price", "reason"),
    [
        ("536365", "6", "0", "sum is 0 or less"),
        ("536365", "-6", "2.55", "sum is 0 or less"),
        ("536365", "999999999", "999999999", "sum is too large"),
        ("C536365", "6", "2.55", "cancellation with a sum of 0 or more"),
        ("C536365", "0", "2.55", "cancellation with a sum of 0 or more"),
    ],
)
def test_other_sums_of_a_customer_are_left_out_and_counted(
    tmp_path: Path, invoice: str, quantity: str, price: str, reason: str
) -> None:
    stream = read(tmp_path, line(invoice, quantity=quantity, price=price))
    assert stream.checkouts == ()
    assert stream.left_out == {reason: 1}
    assert expect(stream).customers == 0


@pytest.mark.parametrize(
    ("told", "kind", "amount"),
    [
        (("536370", "6", "2.55"), Kind.ORDER, "15.30"),
        (("536371", "6", "0"), Kind.ORDER, "0"),
        (("A563186", "1", "-11062.06"), Kind.ORDER, "-11062.06"),
        (("C536372", "-6", "2.55"), Kind.REFUND, "15.30"),
        (("C536373", "0", "2.55"), Kind.REFUND, "0"),
        (("C536374", "1", "2.55"), Kind.ORDER, "2.55"),
    ],
)
def test_every_anonymous_invoice_is_told(
    tmp_path: Path, told: tuple[str, str, str], kind: Kind, amount: str
) -> None:
    invoice, quantity, price = told
    stream = read(tmp_path, line(invoice, quantity=quantity, price=price, customer=""))
    [checkout] = stream.checkouts
    assert (checkout.kind, checkout.amount, checkout.member) == (kind, Decimal(amount), None)
    assert expect(stream).anonymous == 1


def test_an_invoice_without_a_customer_on_some_lines_is_the_customers(tmp_path: Path) -> None:
    stream = read(tmp_path, line(customer=""), line(), line(customer="17850"))
    assert [checkout.member for checkout in stream.checkouts] == [17850]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (line(invoice=""), "no invoice number"),
        (line(invoice="5" * 65), "invoice number is too long"),
        (line(quantity="six"), "quantity is not a number"),
        (line(quantity="1.5"), "quantity is not whole"),
        (line(quantity="NaN"), "quantity is not a number"),
        (line(price=""), "price is not a number"),
        (line(price="0.0000001"), "price has too many digits"),
        (line(price="Infinity"), "price is not a number"),
        (line(at="yesterday"), "time is not a date with a time of day"),
        (line(at="2010-13-01 08:26:00"), "time is not a date with a time of day"),
        (line(customer="Mei"), "customer id is not a number"),
        (line(customer="17850.5"), "customer id is not a whole number"),
        (line(customer="0"), "customer id is not a whole number"),
        (line(customer="1000000000"), "customer id is not a whole number"),
        (line(customer="12345.0"), "another customer than the invoice's first lines"),
        ("536365,85123A", "too few columns"),
    ],
)
def test_a_bad_line_is_counted_and_not_fatal(tmp_path: Path, bad: str, reason: str) -> None:
    stream = read(tmp_path, line(), bad, "", line(quantity="1"))
    assert stream.bad_lines == {reason: 1}
    assert stream.lines == 3
    assert stream.examples[0].startswith(f"line 3: {reason}")
    assert [checkout.amount for checkout in stream.checkouts] == [Decimal("17.85")]


def test_summer_time_is_known(tmp_path: Path) -> None:
    stream = read(
        tmp_path,
        line("1", at="2011-03-27 00:30:00"),
        line("2", at="2011-03-27 01:30:00"),  # skipped by summer time
        line("3", at="2011-07-01 12:00:00"),
        line("4", at="2011-10-30 01:30:00"),  # twice on that day
    )
    assert [checkout.occurred_at.strftime("%d %H:%M") for checkout in stream.checkouts] == [
        "27 00:30",
        "27 01:30",
        "01 11:00",
        "30 00:30",
    ]


def test_checkouts_are_in_order_of_time_then_of_the_file(tmp_path: Path) -> None:
    stream = read(
        tmp_path,
        line("3", at="2010-12-02 08:00:00"),
        line("2", at="2010-12-01 08:00:00"),
        line("1", at="2010-12-01 08:00:00"),
    )
    assert [checkout.reference for checkout in stream.checkouts] == ["2", "1", "3"]


def test_gzip_latin_marks_and_column_order_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "2010-12.csv"
    header = "\ufeffCustomer ID,Invoice,Description,Quantity,InvoiceDate,Price"
    row = '17850,536365,"BOX, ""RED"" £5",2,12/1/2010 8:26,2.55'
    path.write_bytes(gzip.compress(f"{header}\r\n{row}\r\n".encode()))
    [order] = read_shop(path).checkouts
    assert order.items == (Item('BOX, "RED" £5', 2),)
    assert order.occurred_at == datetime(2010, 12, 1, 8, 26, tzinfo=UTC)
    path.write_bytes(f"{header}\n{row}\n".lstrip("\ufeff").encode("latin-1"))
    assert read_shop(path).checkouts[0].items == order.items


def test_a_file_of_another_form_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceFault, match=r"lacks the columns InvoiceNo, .* CustomerID"):
        read(tmp_path, "1,2", header="a,b")
    with pytest.raises(SourceFault, match="cannot be read"):
        read_shop(tmp_path / "missing.csv")
    broken = tmp_path / "broken.csv.gz"
    broken.write_bytes(b"\x1f\x8b\x08 not gzip at all")
    with pytest.raises(SourceFault, match="cannot be read"):
        read_shop(broken)
    with pytest.raises(SourceFault, match="lacks the columns"):
        read(tmp_path, header="")


def test_the_real_month(reference_data: Path) -> None:
    stream = read_shop(reference_data / "data" / "online_retail" / "2010-12.csv.gz")
    expected = expect(stream)
    assert stream.lines == 42_481
    assert not stream.bad_lines
    assert (expected.orders, expected.refunds, expected.anonymous) == (1400, 308, 317)
    assert (expected.customers, expected.big_customers) == (948, 192)
