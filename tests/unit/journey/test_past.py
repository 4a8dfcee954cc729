"""What is older than an age, by real time."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.journey.worker.past import SAMPLES, Past

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_nothing_is_old_before_the_first_look_is() -> None:
    past = Past(60.0)
    assert past.look(100.0, START) is None
    assert past.look(159.9, START + timedelta(days=1)) is None
    assert past.look(160.0, START + timedelta(days=2)) == START


def test_without_an_age_everything_before_now_is_old() -> None:
    past = Past(0.0)
    for day in range(3):
        assert past.look(float(day), START + timedelta(days=day)) == START + timedelta(days=day)


@given(st.lists(st.tuples(st.floats(0.01, 100.0), st.integers(0, 10_000)), min_size=1, max_size=300))
def test_what_is_called_old_is_so_and_the_latest_that_is(steps: list[tuple[float, int]]) -> None:
    age_s = 60.0
    past, real_s, domain = Past(age_s), 0.0, START
    looks: list[tuple[float, datetime]] = []
    for more_s, domain_s in steps:
        real_s, domain = real_s + more_s, domain + timedelta(seconds=domain_s)
        looks.append((real_s, domain))
        found = past.look(real_s, domain)
        old = [look for look in looks if look[0] <= real_s - age_s]
        assert (found is None) == (not old)
        if found is not None:
            little_older = [at for seen_s, at in looks if seen_s <= old[-1][0] - age_s / SAMPLES]
            assert max(little_older, default=START) <= found <= old[-1][1]
    assert len(past._looks) <= SAMPLES + 2
