"""Columns of numbers say of each step what its message says."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from omnijourney.client.series import by_step, step_starts
from omnijourney.stats.v1 import figures_pb2, series_pb2
from services.stats.convert.columns import Header, journey_columns, needs_rates
from services.stats.convert.figures import journey_series
from services.stats.domain.days import Columns, Key
from services.stats.domain.model import Metric
from services.stats.domain.overview import OF_OVERVIEWS, overviews_by_step
from services.stats.domain.series import Steps

STEPS = 12
START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOURS = Steps([START + n * HOUR for n in range(STEPS)], "hour", START + STEPS * HOUR)
JOURNEY = UUID(int=9)
COUNTS = {
    series_pb2.SERIES_FIGURE_TRIGGERED_COUNT: "triggered_count",
    series_pb2.SERIES_FIGURE_REFUSED_COUNT: "refused_count",
    series_pb2.SERIES_FIGURE_COMPLETED_COUNT: "completed_count",
    series_pb2.SERIES_FIGURE_HALTED_COUNT: "halted_count",
    series_pb2.SERIES_FIGURE_MESSAGES_SENT_COUNT: "messages_sent_count",
    series_pb2.SERIES_FIGURE_FAILED_COUNT: "failed_count",
    series_pb2.SERIES_FIGURE_SKIPPED_COUNT: "skipped_count",
    series_pb2.SERIES_FIGURE_UNKNOWN_COUNT: "unknown_count",
}
AMOUNTS = {
    series_pb2.SERIES_FIGURE_MESSAGE_COST: "message_cost",
    series_pb2.SERIES_FIGURE_REVENUE: "revenue",
}
RATIOS = {
    series_pb2.SERIES_FIGURE_COMPLETION_RATE: "completion_rate",
    series_pb2.SERIES_FIGURE_RETURN_ON_AD_SPEND: "return_on_ad_spend",
}


def _label(metric: int) -> st.SearchStrategy[str]:
    if metric in {Metric.MESSAGE_COST, Metric.JOURNEY_REVENUE}:
        return st.sampled_from(["TWD", "HKD", "USD"])
    return st.sampled_from(["", "UNBOUND"])


_keys = st.sampled_from(OF_OVERVIEWS).flatmap(
    lambda metric: st.tuples(st.just(int(metric)), st.just(""), st.just(0), _label(metric))
)
_columns = st.dictionaries(
    _keys, st.dictionaries(st.integers(0, STEPS - 1), st.integers(0, 5), max_size=STEPS), max_size=14
)
_rates = st.sampled_from([{}, {"TWD": Decimal(1), "HKD": Decimal(4)}])


def _told(series: series_pb2.SeriesColumns) -> list[figures_pb2.JourneyOverview]:
    """The messages that columns come to, but for why a ratio is absent."""
    told = [figures_pb2.JourneyOverview(journey_id=series.journey_id) for _ in step_starts(series)]
    for column in series.columns:
        for message, value in zip(told, by_step(series, column), strict=True):
            if column.figure in COUNTS:
                setattr(message, COUNTS[column.figure], int(value or 0))
            elif column.figure == series_pb2.SERIES_FIGURE_ORDER_COUNT:
                message.order_count.value = int(value or 0)
            elif column.figure in RATIOS:
                if value is not None:
                    getattr(message, RATIOS[column.figure]).value = value
            elif value:
                amounts = getattr(message, AMOUNTS[column.figure]).amounts
                amounts.add(currency_code=column.currency_code, amount_micros=int(value))
    return told


def _plain(message: figures_pb2.JourneyOverview) -> figures_pb2.JourneyOverview:
    plain = figures_pb2.JourneyOverview()
    plain.CopyFrom(message)
    for ratio in (plain.completion_rate, plain.return_on_ad_spend):
        ratio.ClearField("absent_reason")
    plain.order_count.ClearField("measurement")
    for field in ("completion_rate", "return_on_ad_spend", "message_cost", "revenue", "order_count"):
        if not getattr(plain, field).ByteSize() or (field == "order_count" and not plain.order_count.value):
            plain.ClearField(field)
    return plain


@settings(deadline=None)
@given(columns=_columns, rates=_rates)
def test_columns_say_what_the_messages_of_the_steps_say(
    columns: dict[Key, dict[int, int]], rates: dict[str, Decimal]
) -> None:
    own: Columns = {key: dict(column) for key, column in columns.items()}
    series = journey_columns(Header(HOURS), str(JOURNEY), own, rates)
    points = journey_series(JOURNEY, HOURS.starts, overviews_by_step(columns), rates).points
    assert step_starts(series) == [point.start_time.ToDatetime(UTC) for point in points]
    assert [_plain(each) for each in _told(series)] == [_plain(point.figures) for point in points]
    assert own == columns
    keys = [(each.figure, each.channel, each.currency_code) for each in series.columns]
    assert keys == sorted(set(keys))
    assert all(any(each.values) or each.ratios for each in series.columns)
    if not needs_rates(columns):
        assert series == journey_columns(Header(HOURS), str(JOURNEY), columns, {})


def test_steps_of_several_lengths_are_told_in_runs() -> None:
    lengths = [24, 24, 23, 24, 25, 25]
    starts = [START + sum(lengths[:n]) * HOUR for n in range(len(lengths))]
    series = Header(Steps(starts, "day", starts[-1] + 25 * HOUR)).series()
    runs = [(run.step_count, run.length.ToTimedelta() // HOUR) for run in series.step_runs]
    assert runs == [(2, 24), (1, 23), (1, 24), (2, 25)]
    assert step_starts(series) == starts
