"""The 20 audiences of work `segment`: what is asked, and the SQL that a person would write for it on the same tables.

`hand` selects ids of customers of the team `:team` at the time `:now`, each once.
"""
# ruff: noqa: S608 - texts of this file alone

from typing import Any, Final, NamedTuple

Form = dict[str, Any]


class BenchAudience(NamedTuple):
    """One of them."""

    name: str
    form: Form
    hand: str


def _tags(operator: int, *tags: str) -> Form:
    return {"tags": {"operator": operator, "tags": tags}}


def _text(key: str, operator: int, *values: str) -> Form:
    return {"attribute": {"key": key, "text": {"operator": operator, "values": values}}}


def _number(key: str, operator: int, value: str, upper: str = "") -> Form:
    return {"attribute": {"key": key, "number": {"operator": operator, "value": value, "upper": upper}}}


def _date(key: str, operator: int, value: str, upper: str = "") -> Form:
    return {"attribute": {"key": key, "date": {"operator": operator, "value": value, "upper": upper}}}


def _points(figure: int, operator: int, value: int, upper: int = 0) -> Form:
    return {"points": {"figure": figure, "operator": operator, "value": value, "upper": upper}}


def _all(*items: Form) -> Form:
    return {"all_of": {"items": items}}


def _any(*items: Form) -> Form:
    return {"any_of": {"items": items}}


def _not(item: Form) -> Form:
    return {"negation": item}


def _tagged(tag: str) -> str:
    return f"SELECT customer_id FROM customer_tag WHERE team_id = :team AND tag_folded = '{tag}'"


def _valued(key: str, kind: int, test: str) -> str:
    """`test` of a value; of texts with what lets the index of texts be used."""
    short = "" if kind == 2 else " AND octet_length(value_folded) <= 200"
    return (
        f"SELECT customer_id FROM customer_attribute WHERE team_id = :team AND key = '{key}' AND type = {kind}"
        f"{short} AND {test}"
    )


def _having(test: str) -> str:
    return f"SELECT customer_id FROM customer WHERE team_id = :team AND {test}"


def _scored(test: str) -> str:
    return f"SELECT customer_id FROM customer_points WHERE team_id = :team AND {test}"


def _both(one: str, *others: str) -> str:
    joins = " ".join(f"JOIN ({other}) AS o{n} USING (customer_id)" for n, other in enumerate(others))
    return f"SELECT customer_id FROM ({one}) AS o {joins}"


def _without(one: str, other: str) -> str:
    return (
        f"SELECT customer_id FROM ({one}) AS o WHERE NOT EXISTS (SELECT FROM ({other}) AS n "
        "WHERE n.customer_id = o.customer_id)"
    )


_COMMON, _SOME, _RARE = "tag-001", "tag-020", "tag-150"
_GOLD = _valued("tier", 1, "value_folded COLLATE \"C\" = 'gold'")
_TAIPEI = _valued("city", 1, "value_folded COLLATE \"C\" = '臺北'")
_RICH = _valued("spent", 2, "number_value > 100000")
_MONTH = {"time": {"field": 4, "within_last_days": 30}}
_SHOPPED = "checkout_time >= :now - interval '30 days'"
AUDIENCES: Final = (
    BenchAudience("a common tag", _tags(1, _COMMON), _tagged(_COMMON)),
    BenchAudience("a rare tag", _tags(1, _RARE), _tagged(_RARE)),
    BenchAudience(
        "any of five tags",
        _tags(1, *(f"tag-{n:03d}" for n in range(50, 55))),
        "SELECT DISTINCT customer_id FROM customer_tag WHERE team_id = :team AND tag_folded IN "
        "('tag-050', 'tag-051', 'tag-052', 'tag-053', 'tag-054')",
    ),
    BenchAudience("two tags", _tags(2, _COMMON, _SOME), _both(_tagged(_COMMON), _tagged(_SOME))),
    BenchAudience("without a tag", _tags(3, _COMMON), _without(_having("true"), _tagged(_COMMON))),
    BenchAudience("a tier", _text("tier", 1, "gold"), _GOLD),
    BenchAudience(
        "a tier in a city", _all(_text("tier", 1, "gold"), _text("city", 1, "臺北")), _both(_GOLD, _TAIPEI)
    ),
    BenchAudience("more than an amount", _number("spent", 5, "100000"), _RICH),
    BenchAudience(
        "a narrow range",
        _number("score", 7, "50", "50.5"),
        _valued("score", 2, "number_value BETWEEN 50 AND 50.5"),
    ),
    BenchAudience(
        "born in a decade",
        _date("birthday", 7, "1980-01-01", "1989-12-31"),
        _valued("birthday", 3, "value_folded COLLATE \"C\" BETWEEN '1980-01-01' AND '1989-12-31'"),
    ),
    BenchAudience(
        "who takes the newsletter",
        {"attribute": {"key": "newsletter", "boolean": {"value": True}}},
        _valued("newsletter", 4, "value_folded COLLATE \"C\" = 'true'"),
    ),
    BenchAudience(
        "a note with a word", _text("note", 3, "abc"), _valued("note", 1, "strpos(value_folded, 'abc') > 0")
    ),
    BenchAudience(
        "reachable by e-mail", {"basic": {"field": 3, "is_set": {}}}, _having("email_folded IS NOT NULL")
    ),
    BenchAudience("shopped this month", _MONTH, _having(_SHOPPED)),
    BenchAudience(
        "tagged, rich, not lately",
        _all(_tags(1, _COMMON), _number("spent", 5, "100000"), _not(_MONTH)),
        _without(_both(_tagged(_COMMON), _RICH), _having(_SHOPPED)),
    ),
    BenchAudience(
        "either of three",
        _any(_tags(1, _SOME), _number("spent", 5, "120000"), _text("tier", 1, "platinum")),
        f"{_tagged(_SOME)} UNION {_valued('spent', 2, 'number_value > 120000')} UNION "
        + _valued("tier", 1, "value_folded COLLATE \"C\" = 'platinum'"),
    ),
    BenchAudience("many points", _points(1, 6, 1000), _scored("balance >= 1000")),
    BenchAudience(
        "few points, or none", _points(1, 3, 10), _without(_having("true"), _scored("balance >= 10"))
    ),
    BenchAudience(
        "points in a tier",
        _all(_points(2, 7, 1000, 2000), _text("tier", 1, "gold")),
        _both(_scored("cumulative BETWEEN 1000 AND 2000"), _GOLD),
    ),
    BenchAudience(
        "bound to LINE, a city, a tag",
        _all({"binding": {"operator": 1, "channel": 1}}, _text("city", 1, "臺北"), _tags(1, _COMMON)),
        _both(
            _tagged(_COMMON),
            _TAIPEI,
            "SELECT DISTINCT customer_id FROM identity WHERE team_id = :team AND channel = 1",
        ),
    ),
)
