"""The other source: lines of the Online Retail form, as CSV, plain or gzipped.

A line that cannot be read is counted with its reason and left out; only a file that is not of this form at all is
a SourceFault. Columns are found by name; one invoice is one checkout.
"""

import csv
import gzip
import io
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from zoneinfo import ZoneInfo

from libs.demo.stream import Checkout, Item, Kind, Profile, SourceFault, Stream, in_order

PROFILE = Profile(
    source="Online Retail",
    shop_id="gift-shop",
    currency="GBP",
    time_zone="Europe/London",
    big_amount=Decimal(500),
    big_points=100,
    favourite="HEART",
    rates={"HKD": Decimal("0.098"), "TWD": Decimal("0.0255")},
)
COLUMNS = ("InvoiceNo", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID")
ALIASES = {"invoice": "invoiceno", "price": "unitprice", "customer id": "customerid"}
"""Names of the same columns in the larger edition of the data."""
TIME_FORMS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%m/%d/%Y %H:%M", "%m/%d/%y %H:%M")
PRICE_DIGITS_MAX = 6
"""Digits after the point that an amount can carry."""
MEMBER_MAX = 999_999_999
"""Largest customer id that fits a phone number."""
LIMIT = Decimal(10) ** 9
"""Quantities and prices beyond it are typing errors, not business."""
SUM_LIMIT = Decimal(10) ** 12
"""Sums beyond it are no amounts of money that anybody could carry."""
INVOICE_MAX = 64
"""Characters of an invoice's number."""
EXAMPLES_MAX = 5


class BadLine(Exception):
    """A line that cannot be read; the text is its reason, the same for lines of one kind."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an invoice, read."""

    invoice: str
    description: str
    quantity: int
    at: datetime
    price: Decimal
    member: int | None


@dataclass(slots=True)
class Invoice:
    """Lines of one invoice, gathered: earliest time, exact sum."""

    number: str
    at: datetime
    member: int | None
    amount: Decimal = Decimal(0)
    items: list[Item] = field(default_factory=list)

    def add(self, line: Line) -> None:
        """Takes a line; raises BadLine when it belongs to another customer than the lines before."""
        if line.member is not None and self.member is not None and line.member != self.member:
            raise BadLine("another customer than the invoice's first lines")
        self.member = self.member if self.member is not None else line.member
        self.at = min(self.at, line.at)
        self.amount += line.quantity * line.price
        self.items.append(Item(line.description, line.quantity))

    def checkout(self) -> Checkout | str:
        """The order or refund that it is, or the reason why it is neither."""
        cancelled = self.number[:1] in ("C", "c")
        at = self.at.astimezone(UTC)
        items = tuple(self.items)
        if abs(self.amount) > SUM_LIMIT:
            return "sum is too large"
        if self.member is None:
            # The webhook stores every anonymous one. What gave money back is told as a refund.
            if cancelled and self.amount <= 0:
                return Checkout(Kind.REFUND, self.number, at, -self.amount, None)
            return Checkout(Kind.ORDER, self.number, at, self.amount, None, items)
        if not cancelled and self.amount > 0:
            return Checkout(Kind.ORDER, self.number, at, self.amount, self.member, items)
        if cancelled and self.amount < 0:
            return Checkout(Kind.REFUND, self.number, at, -self.amount, self.member)
        return "cancellation with a sum of 0 or more" if cancelled else "sum is 0 or less"


def read_shop(path: Path) -> Stream:
    """Reads the file; raises SourceFault when it is not there or not of this form."""
    rows = csv.reader(io.StringIO(_text_of(path), newline=""))
    columns = _columns(next(rows, []), path)
    invoices: dict[str, Invoice] = {}
    bad: Counter[str] = Counter()
    examples: list[str] = []
    lines = 0
    for row in _rows(rows, bad):
        lines += 1
        try:
            line = _read_line(row, columns)
            invoices.setdefault(line.invoice, Invoice(line.invoice, line.at, line.member)).add(line)
        except BadLine as reason:
            bad[str(reason)] += 1
            if len(examples) < EXAMPLES_MAX:
                examples.append(f"line {rows.line_num}: {reason}: {','.join(row)[:120]}")
    return _stream(invoices, lines, bad, examples)


def _stream(invoices: dict[str, Invoice], lines: int, bad: Counter[str], examples: list[str]) -> Stream:
    left_out: Counter[str] = Counter()
    checkouts = []
    for invoice in invoices.values():
        result = invoice.checkout()
        if isinstance(result, str):
            left_out[result] += 1
        else:
            checkouts.append(result)
    return Stream(PROFILE, in_order(checkouts), lines, bad, left_out, tuple(examples))


def _text_of(path: Path) -> str:
    """The file's text: gunzipped if it is gzip, whatever its name; UTF-8, or else Latin as spreadsheets write it."""
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise SourceFault(f"{path} cannot be read: {error}") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _columns(header: Sequence[str], path: Path) -> dict[str, int]:
    names = [name.strip().lower() for name in header]
    places = {ALIASES.get(name, name): place for place, name in enumerate(names)}
    missing = [name for name in COLUMNS if name.lower() not in places]
    if missing:
        raise SourceFault(f"{path} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}")
    return {name: places[name.lower()] for name in COLUMNS}


def _rows(rows: Iterator[list[str]], bad: Counter[str]) -> Iterator[list[str]]:
    """The rows that the CSV form allows, empty ones passed over; the others are counted."""
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error:
            bad["not a CSV line"] += 1
            continue
        if any(cell.strip() for cell in row):
            yield row


def _read_line(row: Sequence[str], columns: dict[str, int]) -> Line:
    if len(row) <= max(columns.values()):
        raise BadLine("too few columns")
    cell = {name: row[place].strip() for name, place in columns.items()}
    if not cell["InvoiceNo"]:
        raise BadLine("no invoice number")
    if len(cell["InvoiceNo"]) > INVOICE_MAX:
        raise BadLine("invoice number is too long")
    return Line(
        invoice=cell["InvoiceNo"],
        description=cell["Description"],
        quantity=_quantity(cell["Quantity"]),
        at=_time(cell["InvoiceDate"]),
        price=_price(cell["UnitPrice"]),
        member=_member(cell["CustomerID"]),
    )


def _decimal(text: str, what: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise BadLine(f"{what} is not a number") from None
    if not value.is_finite() or abs(value) > LIMIT:
        raise BadLine(f"{what} is not a number")
    return value


def _quantity(text: str) -> int:
    value = _decimal(text, "quantity")
    if value != int(value):
        raise BadLine("quantity is not whole")
    return int(value)


def _price(text: str) -> Decimal:
    value = _decimal(text, "price")
    if value != round(value, PRICE_DIGITS_MAX):
        raise BadLine("price has too many digits")
    return value


def _member(text: str) -> int | None:
    """A customer id is a whole number, often written as `17850.0`; an empty one is anonymous."""
    if text.lower() in ("", "nan", "null", "none"):
        return None
    value = _decimal(text, "customer id")
    if value != int(value) or not 0 < value <= MEMBER_MAX:
        raise BadLine("customer id is not a whole number")
    return int(value)


def _time(text: str) -> datetime:
    """Local time of the shop. One that summer time repeats is its first, one that it skips counts on from before."""
    for form in TIME_FORMS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=ZoneInfo(PROFILE.time_zone))
        except ValueError:
            continue
    raise BadLine("time is not a date with a time of day")
