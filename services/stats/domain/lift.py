"""What a split changed: those who were sent on beside those who were held out."""

from __future__ import annotations

from math import sqrt
from typing import Final, NamedTuple

_Z: Final = 1.959963984540054
"""Of a normal distribution 95 % lie within so many standard deviations."""


class Group(NamedTuple):
    """Customers, and how many of them ordered within the window."""

    members: int = 0
    ordered: int = 0


class Difference(NamedTuple):
    """A rate less another one, and the ends of the interval in which it lies with 95 % confidence."""

    value: float
    low: float
    high: float


class Lift(NamedTuple):
    """A split with a holdout. `difference` is None where a group is empty."""

    node_id: str
    treated: Group
    holdout: Group

    @property
    def difference(self) -> Difference | None:
        """The rate of the treated less that of the held out."""
        if not self.treated.members or not self.holdout.members:
            return None
        return difference(self.treated, self.holdout)


def difference(one: Group, other: Group) -> Difference:
    """Rate of one group less that of the other. Both have members.

    By Newcombe's method (Statistics in Medicine 17, 1998, method 10), which holds for small groups and for rates of 0
    and 1, too, and never leaves -1 to 1.
    """
    rate, rate_of_other = one.ordered / one.members, other.ordered / other.members
    (low, high), (low_of_other, high_of_other) = _wilson(one), _wilson(other)
    value = rate - rate_of_other
    below = sqrt((rate - low) ** 2 + (high_of_other - rate_of_other) ** 2)
    above = sqrt((high - rate) ** 2 + (rate_of_other - low_of_other) ** 2)
    return Difference(value, value - below, value + above)


def _wilson(group: Group) -> tuple[float, float]:
    """Wilson's interval of a rate."""
    n, rate = group.members, group.ordered / group.members
    centre = rate + _Z**2 / (2 * n)
    reach = _Z * sqrt(rate * (1 - rate) / n + _Z**2 / (4 * n**2))
    width = 1 + _Z**2 / n
    return (centre - reach) / width, (centre + reach) / width
