"""What a journey names, looked at before it is published."""

from __future__ import annotations

from uuid import UUID

import pytest

from libs.common.ids import new_id
from services.channel_gateway.clients.channels.sink import SinkAdapter
from services.channel_gateway.domain.content import (
    BotModule,
    Button,
    ButtonAction,
    ButtonCard,
    Card,
    ConditionCard,
    CouponCard,
    HeaderKind,
    ModuleContent,
    PointComparison,
    PointFigure,
    TemplateButton,
    TemplateButtonKind,
    TemplateContent,
    TemplateShape,
    TextCard,
)
from services.channel_gateway.domain.model import Account, AccountState, Channel, ConnectionKind
from services.channel_gateway.domain.prepare import Catalogue
from services.channel_gateway.domain.references import (
    AccountReference,
    MessageFindings,
    MessageReference,
    account_findings,
    message_findings,
)
from tests.unit.channel_gateway.build import ACCOUNT, MODULE, TEAM, TEMPLATE, account, module, template

COUPON = str(UUID(int=77))
SENDERS = {ConnectionKind.LINE: None}


def catalogue(kept: BotModule | None = None, *accounts: Account) -> Catalogue:
    known = {(TEAM, each.account_id): each for each in accounts}
    return Catalogue(known, {}, {(TEAM, MODULE): kept} if kept else {}, {}, {}, {})


def found(*cards: Card, channel: Channel = Channel.LINE, **coupons: bool) -> MessageFindings:
    reference = MessageReference(channel, ACCOUNT, ModuleContent(MODULE))
    return message_findings(TEAM, reference, catalogue(module(*cards)), SinkAdapter.writer, coupons)


def branch(*cards: Card) -> ConditionCard:
    return ConditionCard(PointFigure.BALANCE, PointComparison.AT_LEAST, 1, 0, cards, ())


def messages(findings: MessageFindings) -> list[str]:
    return [fault.message for fault in findings.faults]


def test_cards_in_branches_are_looked_at_with_their_paths() -> None:
    long = Button("Go", ButtonAction.URL, "https://example.com/" + "x" * 1_000)
    findings = found(TextCard("Hi"), branch(branch(ButtonCard("Look", (long,)))))
    (message,) = messages(findings)
    assert message.startswith(
        "cards[1].condition.then_cards[0].condition.then_cards[0].button: buttons[0].url: is too long"
    )
    assert {fault.field for fault in findings.faults} == {"bot_module_id"}
    assert findings.needs_points


def test_a_text_that_fits_somebody_is_no_fault() -> None:
    assert messages(found(TextCard("{{customer.name}}"))) == []
    assert messages(found(TextCard("{{customer.name}}" + "x" * 4_999))) == []
    assert messages(found(TextCard("{{customer.name}}" + "x" * 5_000))) == [
        "cards[0].text: text: is too long for LINE: has 5001 UTF-16 units, at most 5000 fit, shorten it"
    ]


def test_a_module_of_before_the_grammar_is_told() -> None:
    (message,) = messages(found(TextCard("Hi {{customer.first_name}}")))
    assert message.startswith("cards[0].text.text: '{{customer.first_name}}'")


def test_attributes_and_points_that_a_module_names_are_handed_on() -> None:
    findings = found(
        TextCard("{{attribute.tier}} {{attribute.city|x}}"), branch(TextCard("{{attribute.tier}}"))
    )
    assert (findings.attribute_keys, findings.needs_points) == (("tier", "city"), True)
    assert found(TextCard("{{points.balance}}")).needs_points
    assert not found(TextCard("Hi")).needs_points


@pytest.mark.parametrize(
    ("known", "reasons"),
    [({}, ["RESOURCE_NOT_FOUND"]), ({COUPON: True}, ["COUPON_NOT_CLAIMABLE"]), ({COUPON: False}, [])],
)
def test_coupons_are_there_and_not_archived(known: dict[str, bool], reasons: list[str]) -> None:
    card = CouponCard(COUPON, "Yours", "Claim")
    findings = found(branch(card), channel=Channel.WHATSAPP, **known)
    assert [fault.reason for fault in findings.faults] == reasons
    assert findings.needs_points


def test_accounts_are_there_of_the_channel_and_usable() -> None:
    def reasons(kept: Account, channel: Channel = Channel.LINE) -> tuple[list[str], list[str]]:
        reference = AccountReference(channel, ACCOUNT)
        findings = account_findings(TEAM, reference, catalogue(None, kept), SENDERS)
        return [each.reason for each in findings.faults], [each.reason for each in findings.warnings]

    assert reasons(account()) == ([], [])
    assert reasons(account(), Channel.WHATSAPP) == (["CHANNEL_UNSUPPORTED"], [])
    assert reasons(account(state=AccountState.DISABLED)) == (["ACCOUNT_DISABLED"], [])
    assert reasons(account(state=AccountState.UNUSABLE)) == (["ACCOUNT_UNUSABLE"], [])
    assert reasons(account(account_id=new_id())) == (["RESOURCE_NOT_FOUND"], [])
    # One that nothing can be sent through yet is for people to know.
    assert reasons(account(Channel.WHATSAPP), Channel.WHATSAPP) == ([], ["CHANNEL_UNSUPPORTED"])


@pytest.mark.rule("J-11b")
def test_variables_and_faults_of_a_templates_header_and_buttons_are_told() -> None:
    content = TemplateContent(
        TEMPLATE,
        ("a", "{{trigger.code}}"),
        "{{attribute.tier}}",
        ((0, "{{points.balance}}{{attribute.id}}"),),
    )
    reference = MessageReference(Channel.WHATSAPP, ACCOUNT, content)

    def told(**changes: object) -> MessageFindings:
        known = Catalogue({}, {}, {}, {(TEAM, TEMPLATE): template(**changes)}, {}, {})
        return message_findings(TEAM, reference, known, SinkAdapter.writer, {})

    findings = told()
    assert findings.faults == ()
    assert set(findings.attribute_keys) == {"tier", "id"}
    assert findings.trigger_keys == ("code",)
    assert findings.needs_points
    named = {"parameter_names": ("first", "second")}
    assert [fault.field for fault in told(**named).faults] == ["template.header_parameters"]
    link = TemplateButton(TemplateButtonKind.URL, "Look", takes_parameter=True)
    known = TemplateShape(HeaderKind.TEXT, 1, "third", (link,))
    assert told(**named, shape=known).faults == ()
