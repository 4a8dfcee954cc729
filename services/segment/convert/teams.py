"""Teams and their settings: messages ⇄ domain."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID
from zoneinfo import available_timezones

from libs.common.audience.expressions import AttributeType, ChannelNumber
from libs.common.audience.values import ValueFault, canonical, parse_number
from libs.common.consent_words import WORD_LENGTH_MAX, WORDS_MAX, compared
from libs.common.money import is_known_currency
from libs.common.phones import COUNTRIES
from libs.common.rpc.values import duration, seconds_of, timestamp
from omnijourney.segment.v1 import team_pb2
from services.segment.convert.checks import Check
from services.segment.domain.model import CurrencyRate, Module, Team, TeamSettings

_HOUR_S: Final = 3_600
_WINDOW_MAX_S: Final = 90 * 24 * 3_600
_PLAN_NAME_LENGTH_MAX: Final = 200
_RATES_MAX: Final = 200
_DEFAULT: Final = TeamSettings(time_zone="UTC", currency_code="XXX")
_ZONES: Final = frozenset(available_timezones()) - {"Factory", "localtime"}
"""But for those that say no place: the machine's own, which is another on each, and the one of none."""


def read_settings(check: Check, message: team_pb2.TeamSettings, path: str) -> TeamSettings:
    """Settings, with the defaults of what is absent."""
    if message.time_zone not in _ZONES:
        check.fault(f"{path}.time_zone", "must be an IANA time zone such as Asia/Taipei")
    if not is_known_currency(message.currency_code):
        check.fault(f"{path}.currency_code", "must be a code of ISO 4217, such as TWD")
    plan = message.plan
    limit = plan.monthly_enrolments_max if plan.HasField("monthly_enrolments_max") else None
    if limit is not None and limit < 0:
        check.fault(f"{path}.plan.monthly_enrolments_max", "must not be negative")
    return TeamSettings(
        time_zone=message.time_zone,
        currency_code=message.currency_code,
        modules=_numbers(check, f"{path}.modules", message.modules, frozenset(Module)),
        plan_name=check.line(
            f"{path}.plan.name", plan.name, length_max=_PLAN_NAME_LENGTH_MAX, required=False
        ),
        monthly_enrolments_max=limit,
        attribution_window=_window(check, message, f"{path}.attribution_window"),
        unsigned_orders_count=message.unsigned_orders_count,
        points_channels=_numbers(
            check, f"{path}.points_channels", message.points_channels, frozenset(ChannelNumber)
        )
        or _DEFAULT.points_channels,
        currency_rates=_rates(check, message, f"{path}.currency_rates"),
        country_code=_country(check, message.country_code, f"{path}.country_code"),
        stop_words=_words(check, message.consent_words.stop_words, f"{path}.consent_words.stop_words"),
        start_words=_words(check, message.consent_words.start_words, f"{path}.consent_words.start_words"),
    )


def _words(check: Check, words: Sequence[str], path: str) -> tuple[str, ...]:
    check.count(path, words, most=WORDS_MAX)
    seen: set[str] = set()
    for index, word in enumerate(words):
        form = compared(check.line(f"{path}[{index}]", word, length_max=WORD_LENGTH_MAX))
        if not form:
            check.fault(f"{path}[{index}]", "must be a word")
        elif form in seen:
            check.fault(f"{path}[{index}]", "is given twice")
        seen.add(form)
    return tuple(words)


def _window(check: Check, message: team_pb2.TeamSettings, path: str) -> timedelta:
    if not message.HasField("attribution_window"):
        return _DEFAULT.attribution_window
    seconds = seconds_of(message.attribution_window)
    if not _HOUR_S <= seconds <= _WINDOW_MAX_S:
        check.fault(path, "must be 1 hour to 90 days")
        return _DEFAULT.attribution_window
    return timedelta(seconds=seconds)


def _country(check: Check, code: str, path: str) -> str:
    if code and code not in COUNTRIES:
        check.fault(path, "must be the ISO 3166-1 alpha-2 code of a country, such as TW")
    return code


def _numbers(check: Check, path: str, numbers: Iterable[int], known: frozenset[int]) -> tuple[int, ...]:
    found: list[int] = []
    for index, number in enumerate(numbers):
        if number not in known:
            check.fault(f"{path}[{index}]", "is unknown")
        elif number in found:
            check.fault(f"{path}[{index}]", "is given twice")
        found.append(number)
    return tuple(found)


def _rates(check: Check, message: team_pb2.TeamSettings, path: str) -> tuple[CurrencyRate, ...]:
    check.count(path, message.currency_rates, most=_RATES_MAX)
    rates: dict[str, CurrencyRate] = {}
    for index, rate in enumerate(message.currency_rates):
        at = f"{path}[{index}]"
        if not is_known_currency(rate.currency_code) or rate.currency_code in {message.currency_code, *rates}:
            check.fault(f"{at}.currency_code", "must be the code of ISO 4217 of another currency, each once")
        try:
            if parse_number(rate.rate) <= Decimal(0):
                check.fault(f"{at}.rate", "must be positive")
            rates[rate.currency_code] = CurrencyRate(
                rate.currency_code, canonical(AttributeType.NUMBER, rate.rate)
            )
        except ValueFault as fault:
            check.fault(f"{at}.rate", str(fault))
    return tuple(rates.values())


def team_message(team: Team) -> team_pb2.Team:
    """A team."""
    return team_pb2.Team(
        team_id=str(team.team_id),
        name=team.name,
        settings=settings_message(team.team_id, team.settings, team.revision),
        etag=str(team.revision),
        create_time=timestamp(team.create_time),
        update_time=timestamp(team.update_time),
    )


def settings_message(team_id: UUID, settings: TeamSettings, revision: int) -> team_pb2.TeamSettings:
    """A team's settings."""
    return team_pb2.TeamSettings(
        team_id=str(team_id),
        time_zone=settings.time_zone,
        currency_code=settings.currency_code,
        modules=list(settings.modules),  # type: ignore[arg-type]  # the numbers are those of the contract
        plan=team_pb2.Plan(name=settings.plan_name, monthly_enrolments_max=settings.monthly_enrolments_max),
        attribution_window=duration(settings.attribution_window),
        unsigned_orders_count=settings.unsigned_orders_count,
        points_channels=list(settings.points_channels),  # type: ignore[arg-type]  # as above
        currency_rates=[
            team_pb2.CurrencyRate(currency_code=rate.currency_code, rate=rate.rate)
            for rate in settings.currency_rates
        ],
        revision=revision,
        country_code=settings.country,
        consent_words=_own_words(settings),
    )


def _own_words(settings: TeamSettings) -> team_pb2.ConsentWords | None:
    if not settings.stop_words and not settings.start_words:
        return None
    return team_pb2.ConsentWords(stop_words=settings.stop_words, start_words=settings.start_words)
