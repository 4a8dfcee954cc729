"""What the services keep, shown by `omnijourney team|customer|audience|points|coupon|webhook|mailbox`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from libs.cli.answers import json_about, json_of, tell
from libs.cli.console import complain, say
from libs.cli.journeys import TIMEOUT_S, Command, NoSuch, line_of
from libs.cli.listings import PAGE, listed, name_of, shown
from libs.client import Client
from libs.client.paging import items
from libs.common.ids import new_id
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway
from omnijourney.channel_gateway.v1 import webhook_pb2
from omnijourney.journey.v1 import actor_pb2
from omnijourney.journey.v1 import journey_service_pb2 as journey
from omnijourney.points.v1 import account_pb2, coupon_pb2, entry_pb2
from omnijourney.points.v1 import points_service_pb2 as points
from omnijourney.segment.v1 import audience_pb2, customer_pb2, team_pb2
from omnijourney.segment.v1 import segment_service_pb2 as segment

_UNKNOWN: Final = "–"


def teams(limit: int, *, as_json: bool) -> Command:
    """Lists all teams."""
    request = segment.ListTeamsRequest(page_size=PAGE)
    return listed(
        lambda client: client.segment.ListTeams, request, "teams", _team, limit=limit, as_json=as_json
    )


def team(team_id: str, *, as_json: bool) -> Command:
    """Shows a team."""
    request = segment.GetTeamRequest(team_id=team_id)
    return shown(lambda client: client.segment.GetTeam, request, "team", _team, as_json=as_json)


def new_team(
    name: str, zone: str, currency: str, modules: Sequence[str], *, as_json: bool = False
) -> Command:
    """Makes a team, and writes its id."""
    settings = team_pb2.TeamSettings(
        time_zone=zone,
        currency_code=currency,
        modules=[team_pb2.Module.Value(f"MODULE_{module.upper()}") for module in modules],
    )
    wanted = team_pb2.Team(name=name, settings=settings)

    async def command(client: Client) -> int:
        request = segment.CreateTeamRequest(request_id=str(new_id()), team=wanted)
        made = (await client.segment.CreateTeam(request, timeout=TIMEOUT_S)).team
        tell(made, made.team_id, as_json=as_json)
        return 0

    return command


def _team(each: team_pb2.Team) -> str:
    settings = each.settings
    modules = " ".join(name_of(team_pb2.Module, module, "MODULE_") for module in settings.modules)
    return f"{each.team_id}  {settings.time_zone} {settings.currency_code}  {each.name}  {modules}".rstrip()


def customers(team_id: str, keyword: str, limit: int, *, as_json: bool) -> Command:
    """Lists customers; with `keyword` those in whose name, member id, phone or e-mail address it is."""
    request = segment.ListCustomersRequest(team_id=team_id, keyword=keyword, page_size=PAGE)
    return listed(
        lambda client: client.segment.ListCustomers,
        request,
        "customers",
        _customer,
        limit=limit,
        as_json=as_json,
    )


def customer(team_id: str, who: str, *, as_json: bool) -> Command:
    """Shows a customer by id, member id, phone or e-mail address."""
    selector = customer_pb2.CustomerSelector()
    setattr(selector, _kind_of(who), who)
    request = segment.FindCustomerRequest(team_id=team_id, selector=selector)
    return shown(
        lambda client: client.segment.FindCustomer, request, "customer", _whole_customer, as_json=as_json
    )


def _kind_of(who: str) -> str:
    try:
        UUID(who)
    except ValueError:
        return "email" if "@" in who else "phone" if who.startswith("+") else "member_id"
    return "customer_id"


def _customer(each: customer_pb2.Customer) -> str:
    known = (each.member_id, each.name, each.phone, each.email)
    return "  ".join((each.customer_id, *(part or _UNKNOWN for part in known)))


def _whole_customer(each: customer_pb2.Customer) -> str:
    lines = [_customer(each)]
    lines += [f"  tag        {tag}" for tag in each.tags]
    lines += [f"  attribute  {key} = {value}" for key, value in sorted(each.attributes.items())]
    return "\n".join(lines + [f"  identity   {identity.key.external_id}" for identity in each.identities])


def journeys(team_id: str, limit: int, *, as_json: bool) -> Command:
    """Lists journeys, newest first."""
    request = journey.ListJourneysRequest(team_id=team_id, page_size=PAGE)
    return listed(
        lambda client: client.journey.ListJourneys, request, "journeys", line_of, limit=limit, as_json=as_json
    )


def tags(team_id: str, limit: int, *, as_json: bool) -> Command:
    """Lists tags with how many customers have them."""
    request = segment.ListTagsRequest(team_id=team_id, page_size=PAGE)
    return listed(
        lambda client: client.segment.ListTags,
        request,
        "tags",
        lambda each: f"{each.customer_count:>10,}  {each.tag}",
        limit=limit,
        as_json=as_json,
    )


def audiences(team_id: str, limit: int, *, as_json: bool) -> Command:
    """Lists saved audiences."""
    request = segment.ListSavedAudiencesRequest(team_id=team_id, page_size=PAGE)
    return listed(
        lambda client: client.segment.ListSavedAudiences,
        request,
        "saved_audiences",
        lambda each: f"{each.saved_audience_id}  {each.name}",
        limit=limit,
        as_json=as_json,
    )


def describe_audience(team_id: str, name: str, language: str, *, as_json: bool = False) -> Command:
    """Writes what a saved audience means, in one line."""

    async def command(client: Client) -> int:
        found = await _audience(client, team_id, name)
        request = segment.DescribeAudienceRequest(
            team_id=team_id, audience=found.audience, language_code=language
        )
        answer = await client.segment.DescribeAudience(request, timeout=TIMEOUT_S)
        tell(answer, answer.text, as_json=as_json)
        return 0

    return command


def count_audience(team_id: str, name: str, *, as_json: bool = False) -> Command:
    """Writes how many customers are in a saved audience now."""

    async def command(client: Client) -> int:
        found = await _audience(client, team_id, name)
        request = segment.CountAudienceRequest(team_id=team_id, saved_audience_id=found.saved_audience_id)
        answer = await client.segment.CountAudience(request, timeout=TIMEOUT_S)
        tell(answer, str(answer.customer_count), as_json=as_json)
        return 0

    return command


def audience_customers(team_id: str, name: str, limit: int, *, as_json: bool) -> Command:
    """Lists who is in a saved audience now."""

    async def command(client: Client) -> int:
        found = await _audience(client, team_id, name)
        request = segment.ListAudienceCustomersRequest(
            team_id=team_id, saved_audience_id=found.saved_audience_id, page_size=PAGE
        )
        lists = listed(
            lambda client: client.segment.ListAudienceCustomers,
            request,
            "customers",
            _customer,
            limit=limit,
            as_json=as_json,
        )
        return await lists(client)

    return command


async def _audience(client: Client, team_id: str, name: str) -> audience_pb2.SavedAudience:
    """A saved audience by name or id. Raises NoSuch."""
    request = segment.ListSavedAudiencesRequest(team_id=team_id, page_size=PAGE)
    listing = items(client.segment.ListSavedAudiences, request, "saved_audiences", timeout_s=TIMEOUT_S)
    found: list[audience_pb2.SavedAudience] = [
        each async for each in listing if name in (each.name, each.saved_audience_id)
    ]
    if len(found) != 1:
        raise NoSuch(
            f"there are {len(found) or 'no'} audiences {name!r}: `omnijourney audience list` has their ids"
        )
    return found[0]


def balance(team_id: str, customer_id: str, *, as_json: bool) -> Command:
    """Shows a customer's points."""
    request = points.GetBalanceRequest(team_id=team_id, customer_id=customer_id)
    return shown(lambda client: client.points.GetBalance, request, "balance", _balance, as_json=as_json)


def _balance(each: account_pb2.Balance) -> str:
    return f"balance {each.balance:,}, cumulative {each.cumulative:,}"


def history(team_id: str, customer_id: str, limit: int, *, as_json: bool) -> Command:
    """Lists changes of points of the last 30 days, newest first; with `customer_id` those of one customer."""
    request = points.ListEntriesRequest(team_id=team_id, page_size=PAGE)
    request.filter.customer_id = customer_id
    return listed(
        lambda client: client.points.ListEntries, request, "lines", _entry, limit=limit, as_json=as_json
    )


def _entry(line: entry_pb2.ReportLine) -> str:
    entry = line.entry
    change = f"{entry.delta_balance:+8,}  {entry.balance:10,}"
    return f"{_time(entry.occur_time)}  {change}  {entry.customer_id}  {entry.source_name}".rstrip()


def coupons(team_id: str, limit: int, *, as_json: bool) -> Command:
    """Lists coupons."""
    request = points.ListCouponsRequest(team_id=team_id, page_size=PAGE)
    return listed(
        lambda client: client.points.ListCoupons, request, "coupons", _coupon, limit=limit, as_json=as_json
    )


def _coupon(each: coupon_pb2.Coupon) -> str:
    cost = f"{each.points_redemption.cost:,} points" if each.HasField("points_redemption") else "no points"
    return f"{each.coupon_id}  {each.claims:8,} claimed  {cost:16}  {each.name}"


def claims(team_id: str, coupon_id: str, limit: int, *, as_json: bool) -> Command:
    """Lists who claimed coupons; with `coupon_id` this one."""
    request = points.ListCouponClaimsRequest(team_id=team_id, coupon_id=coupon_id, page_size=PAGE)
    return listed(
        lambda client: client.points.ListCouponClaims, request, "claims", _claim, limit=limit, as_json=as_json
    )


def _claim(each: coupon_pb2.CouponClaim) -> str:
    used = f"used {_time(each.use_time)}" if each.HasField("use_time") else "not used"
    return f"{_time(each.create_time)}  {each.customer_id}  {each.code}  {each.points_paid:,} points  {used}"


def subscriptions(team_id: str, limit: int, *, as_json: bool) -> Command:
    """Lists a team's webhooks."""
    request = gateway.ListWebhookSubscriptionsRequest(team_id=team_id, page_size=PAGE)
    return listed(
        lambda client: client.channel_gateway.ListWebhookSubscriptions,
        request,
        "subscriptions",
        lambda each: f"{each.webhook_subscription_id}  {each.url}  {' '.join(each.event_types)}".rstrip(),
        limit=limit,
        as_json=as_json,
    )


def dead_letters(team_id: str, subscription_id: str, limit: int, *, as_json: bool) -> Command:
    """Lists what could not be delivered to a webhook."""
    request = gateway.ListDeadLettersRequest(
        team_id=team_id, webhook_subscription_id=subscription_id, page_size=PAGE
    )
    return listed(
        lambda client: client.channel_gateway.ListDeadLetters,
        request,
        "dead_letters",
        _dead_letter,
        limit=limit,
        as_json=as_json,
    )


def _dead_letter(each: webhook_pb2.DeadLetter) -> str:
    return f"{_time(each.dead_time)}  {each.webhook_id}  {each.event_type}  {each.attempts} tries  {each.last_error}"


def replay(
    team_id: str, subscription_id: str, webhook_ids: Sequence[str], *, as_json: bool = False
) -> Command:
    """Delivers again what could not be delivered: these, or all."""

    async def command(client: Client) -> int:
        request = gateway.ReplayDeadLettersRequest(
            team_id=team_id,
            request_id=str(new_id()),
            webhook_subscription_id=subscription_id,
            webhook_ids=webhook_ids,
        )
        answer = await client.channel_gateway.ReplayDeadLetters(request, timeout=TIMEOUT_S)
        tell(answer, f"{answer.replayed:,} are delivered again", as_json=as_json)
        return 0

    return command


def mails(team_id: str, customer_id: str, *, as_json: bool) -> Command:
    """Shows what waits in a customer's mailbox, oldest first."""

    async def command(client: Client) -> int:
        request = journey.PeekMailboxRequest(team_id=team_id, customer_id=customer_id, page_size=PAGE)
        answer = await client.journey.PeekMailbox(request, timeout=TIMEOUT_S)
        for each in answer.mails:
            say(json_of(each) if as_json else f"{_time(each.occur_time)}  {each.event_id}  {each.kind}")
        complain(f"{answer.total_count:,} in the mailbox")
        return 0

    return command


def parked(team_id: str, limit: int, *, as_json: bool) -> Command:
    """Lists customers who are parked, and why."""
    request = journey.ListParkedCustomersRequest(team_id=team_id, page_size=PAGE)
    return listed(
        lambda client: client.journey.ListParkedCustomers,
        request,
        "customers",
        _parked,
        limit=limit,
        as_json=as_json,
    )


def _parked(each: actor_pb2.ParkedCustomer) -> str:
    return f"{_time(each.park_time)}  {each.customer_id}  {each.attempts} tries  {each.error_message}"


def retry(team_id: str, customer_id: str, *, as_json: bool = False) -> Command:
    """Lets a parked customer try again."""

    async def command(client: Client) -> int:
        request = journey.RetryParkedCustomerRequest(
            team_id=team_id, customer_id=customer_id, request_id=str(new_id())
        )
        answer = await client.journey.RetryParkedCustomer(request, timeout=TIMEOUT_S)
        say(json_about(answer, customer_id=customer_id) if as_json else f"{customer_id} is tried again")
        return 0

    return command


def _time(at: Timestamp) -> str:
    """In UTC, to the second."""
    return f"{at.ToJsonString()[:19]}Z".replace("T", " ")
