"""What can be decided of a send before any limit is looked at: where it goes, to whom, and what it says."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple, Protocol
from uuid import UUID

import msgspec

from libs.common.text_variables import fill
from services.channel_gateway.domain.content import (
    HEADER_LENGTH_MAX,
    BotModule,
    Content,
    FlatCard,
    ModuleContent,
    Template,
    TemplateContent,
    TemplateState,
    TextCard,
    TextContent,
)
from services.channel_gateway.domain.links import LinkWriter, tracked_cards, tracked_template
from services.channel_gateway.domain.model import (
    DEFAULT_PRICES,
    Account,
    AccountState,
    Balance,
    BegunSend,
    Channel,
    ConnectionKind,
    Price,
    Profile,
    Reason,
    Send,
    SendAnswer,
    SendState,
)
from services.channel_gateway.domain.presses import bound_cards
from services.channel_gateway.domain.render import (
    Values,
    cards_need_attributes,
    cards_need_points,
    flatten,
    template_needs_attributes,
    template_needs_points,
)
from services.channel_gateway.domain.template_shapes import (
    filled_media,
    filled_suffix,
    is_address,
    shape_faults,
)
from services.channel_gateway.domain.windows import identity_for, is_outside_window

_NIL: Final = UUID(int=0)
_NOT_OF_A_LINE: Final = re.compile(r" *[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]\s*| {5,}")


class ContentRefusedError(Exception):
    """Content that does not fit its channel; `reason` goes into the send's outcome."""

    def __init__(self, reason: Reason, detail: str, field: str = "") -> None:
        """`detail` is for people and holds no content; `field` is what of a template's content is refused."""
        super().__init__(detail)
        self.reason = reason
        self.field = field


def send_to_nobody(
    team_id: UUID,
    channel: Channel,
    content: ModuleContent | TemplateContent,
    account_id: UUID | None = None,
) -> Send:
    """A send that is only written: to see what content becomes on a channel."""
    return Send(
        effect_key=_NIL,
        team_id=team_id,
        customer_id=_NIL,
        enrolment_id=_NIL,
        journey_id=_NIL,
        node_id="",
        channel=channel,
        account_id=account_id,
        content=content,
        cap=None,
        not_after=None,
        stop_epoch=0,
        depth=0,
    )


class Writer(Protocol):
    """Writes the request bodies of one channel. Pure. Raises `ContentRefusedError`."""

    def write_cards(self, send: Send, recipient: str, cards: Sequence[FlatCard]) -> list[bytes]:
        """The bodies for cards, one for each message that the channel bills."""
        ...

    def write_template(
        self, send: Send, recipient: str, template: Template, content: TemplateContent
    ) -> list[bytes]:
        """The bodies for a template; texts of `content` are filled in already."""
        ...


class Catalogue(NamedTuple):
    """Accounts, content and prices of the teams of a batch, as of when they were read."""

    accounts: Mapping[tuple[UUID, UUID], Account]
    """By team and account; deleted ones are absent."""
    default_accounts: Mapping[tuple[UUID, int], Account]
    """By team and channel: the oldest active one, else the oldest."""
    modules: Mapping[tuple[UUID, UUID], BotModule]
    templates: Mapping[tuple[UUID, UUID], Template]
    prices: Mapping[tuple[UUID, int], Price]
    """By team and channel; absent: the default."""
    account_versions: Mapping[UUID, int]
    """By team: rises with every change of any of its accounts, and of its frequency cap."""
    capped_teams: frozenset[UUID] = frozenset()
    """Those with a frequency cap, which only the database can hold sends to."""

    def price_of(self, team_id: UUID, channel: Channel) -> Price:
        """The price of a message."""
        return self.prices.get((team_id, channel)) or DEFAULT_PRICES[channel]

    def account_of(self, send: Send) -> Account | None:
        """The account that a send leaves through: the one that is named, else that of its template, else the team's own
        choice."""
        if send.account_id is None:
            template = self._template_of(send)
            if template is not None:
                return self.accounts.get((send.team_id, template.account_id))
            return self.default_accounts.get((send.team_id, send.channel))
        return self.accounts.get((send.team_id, send.account_id))

    def _template_of(self, send: Send) -> Template | None:
        if not isinstance(send.content, TemplateContent):
            return None
        return self.templates.get((send.team_id, send.content.template_id))

    def needing_points(self, sends: Iterable[Send]) -> set[Content]:
        """The contents that can only be filled in with the customer's points; each is looked at once."""
        contents = {(send.team_id, send.content) for send in sends}
        return {content for team_id, content in contents if self._needs_points(team_id, content)}

    def needing_attributes(self, sends: Iterable[Send]) -> set[Content]:
        """The contents that can only be filled in with the customer's attributes; each is looked at once."""
        contents = {(send.team_id, send.content) for send in sends}
        return {content for team_id, content in contents if self._needs_attributes(team_id, content)}

    def _needs_attributes(self, team_id: UUID, content: Content) -> bool:
        if isinstance(content, TemplateContent):
            return template_needs_attributes(content)
        if isinstance(content, TextContent):
            return False
        module = self.modules.get((team_id, content.bot_module_id))
        return module is not None and cards_need_attributes(module.cards)

    def _needs_points(self, team_id: UUID, content: Content) -> bool:
        if isinstance(content, TemplateContent):
            return template_needs_points(content)
        if isinstance(content, TextContent):
            return False
        module = self.modules.get((team_id, content.bot_module_id))
        return module is not None and cards_need_points(module.cards)


class Customer(NamedTuple):
    """What is known of the customer of a send."""

    profile: Profile
    balance: Balance | None
    last_inbound: Mapping[tuple[UUID, str], datetime]
    """By account and external id: the last message of the customer, where we know one."""
    points_channels: Collection[int]
    """Where the team has opened coupons and points variables (P-03)."""


class Prepared(msgspec.Struct, frozen=True):
    """A send that may leave if the limits allow it."""

    account: Account
    recipient: str
    parts: list[bytes]
    begun: BegunSend | None = None
    """What of it left already."""

    @property
    def messages(self) -> int:
        """Messages that are still to get places."""
        return len(self.parts) - (self.begun.parts_sent + self.begun.doubtful if self.begun else 0)


def continued(prepared: Prepared | SendAnswer, begun: BegunSend) -> Prepared | SendAnswer:
    """A send that goes on where it stopped: to the same person, with the first bodies if they are kept."""
    if isinstance(prepared, SendAnswer):
        return prepared
    rest = Prepared(prepared.account, begun.recipient, begun.parts or prepared.parts, begun)
    return (
        rest if len(rest.parts) > begun.parts_sent else SendAnswer(SendState.SKIPPED, Reason.NOTHING_TO_SEND)
    )


def prepare(
    send: Send,
    catalogue: Catalogue,
    customer: Customer,
    writers: Mapping[ConnectionKind, Writer],
    now: datetime,
    *,
    links: LinkWriter | None = None,
) -> Prepared | SendAnswer:
    """Address and write one send, or say why it cannot be sent. With `links`, its links are short ones."""
    account = catalogue.account_of(send)
    if account is None:
        return _no_account(send)
    refusal = _refuse_account(account, send, writers) or _missing_content(send, account, catalogue)
    if refusal is not None:
        return refusal
    identity = identity_for(send, account, customer.profile.identities, customer.last_inbound, now)
    if identity is None:
        return SendAnswer(SendState.SKIPPED, Reason.UNBOUND)
    if identity.blocked:
        return SendAnswer(SendState.SKIPPED, Reason.BLOCKED)
    if is_outside_window(send, account, identity, customer.last_inbound, now):
        return SendAnswer(SendState.SKIPPED, Reason.OUTSIDE_WINDOW)
    try:
        writer = writers[account.connection.kind]
        parts = write(send, identity.external_id, catalogue, customer, writer, links=links)
    except ContentRefusedError as refused:
        return SendAnswer(SendState.FAILED, refused.reason)
    if not parts:
        return SendAnswer(SendState.SKIPPED, Reason.NOTHING_TO_SEND)
    return Prepared(account, identity.external_id, parts)


def _no_account(send: Send) -> SendAnswer:
    # An account that was named and is gone is a deleted bot (J-07); a team without any never had one.
    if send.account_id is None:
        return SendAnswer(SendState.FAILED, Reason.ACCOUNT_MISSING)
    return SendAnswer(SendState.EXHAUSTED, Reason.BOT_MODULE_MISSING)


def _refuse_account(
    account: Account, send: Send, writers: Mapping[ConnectionKind, Writer]
) -> SendAnswer | None:
    if account.channel != send.channel or account.connection.kind not in writers:
        return SendAnswer(SendState.FAILED, Reason.CHANNEL_UNSUPPORTED)
    if account.state is AccountState.DISABLED:
        return SendAnswer(SendState.FAILED, Reason.ACCOUNT_DISABLED)
    if account.state is AccountState.UNUSABLE:
        return SendAnswer(SendState.FAILED, Reason.ACCOUNT_UNUSABLE)
    return None


def _missing_content(send: Send, account: Account, catalogue: Catalogue) -> SendAnswer | None:
    if isinstance(send.content, ModuleContent):
        if (send.team_id, send.content.bot_module_id) not in catalogue.modules:
            return SendAnswer(SendState.EXHAUSTED, Reason.BOT_MODULE_MISSING)
        return None
    if isinstance(send.content, TextContent):
        return None
    template = catalogue.templates.get((send.team_id, send.content.template_id))
    if template is None or template.state is TemplateState.DISABLED:
        return SendAnswer(SendState.EXHAUSTED, Reason.WHATSAPP_TEMPLATE_MISSING)
    # The channel has no template of another account, and that it is right where it belongs must not be doubted for it.
    if template.state is not TemplateState.APPROVED or template.account_id != account.account_id:
        return SendAnswer(SendState.FAILED, Reason.TEMPLATE_NOT_APPROVED)
    return None


def write(
    send: Send,
    recipient: str,
    catalogue: Catalogue,
    customer: Customer,
    writer: Writer,
    *,
    links: LinkWriter | None = None,
) -> list[bytes]:
    """The request bodies of a send, whose content the catalogue has. Raises ContentRefusedError."""
    values = _values(send, customer)
    content = send.content
    if isinstance(content, TextContent):
        return writer.write_cards(send, recipient, [TextCard(content.text)])
    if isinstance(content, ModuleContent):
        module = catalogue.modules[send.team_id, content.bot_module_id]
        cards = bound_cards(flatten(module.cards, values), send.effect_key, send.channel)
        return _write_cards(send, recipient, cards, writer, links)
    template = catalogue.templates[send.team_id, content.template_id]
    filled = _filled(content, values)
    if links is not None:
        short = tracked_template(filled, links.base, links.of(send.team_id, send.effect_key))
        filled = short if len(short.header_parameter) <= HEADER_LENGTH_MAX else filled
    _check_parameters(template, content, filled)
    return writer.write_template(send, recipient, template, filled)


def fill_template(
    send: Send, content: TemplateContent, catalogue: Catalogue, customer: Customer
) -> TemplateContent:
    """A template's content with the values of a customer. Raises ContentRefusedError."""
    filled = _filled(content, _values(send, customer))
    _check_parameters(catalogue.templates[send.team_id, content.template_id], content, filled)
    return filled


def _values(send: Send, customer: Customer) -> Values:
    return Values(
        customer.profile,
        customer.balance,
        points_open=send.channel in customer.points_channels,
        trigger_data=send.trigger_data,
    )


def _filled(content: TemplateContent, values: Values) -> TemplateContent:
    media = content.header_media
    return TemplateContent(
        content.template_id,
        tuple(_in_one_line(fill(text, values.get)) for text in content.parameters),
        _in_one_line(fill(content.header_parameter, values.get)),
        tuple(
            (index, filled_suffix(text, lambda name: _in_one_line(values.get(name))))
            for index, text in content.button_parameters
        ),
        filled_media(media, lambda name: _in_one_line(values.get(name))) if media is not None else None,
    )


def _in_one_line(text: str) -> str:
    """A parameter with the values of a customer as WhatsApp takes it: no breaks, no tabs, at most four blanks."""
    return _NOT_OF_A_LINE.sub(" ", text)


def _write_cards(
    send: Send, recipient: str, cards: list[FlatCard], writer: Writer, links: LinkWriter | None
) -> list[bytes]:
    """With short links, which may be longer than what they stand for: if they do not fit, links stay as they were."""
    if links is not None:
        short = tracked_cards(cards, links.base, links.of(send.team_id, send.effect_key))
        if any(one is not other for one, other in zip(short, cards, strict=True)):
            try:
                return writer.write_cards(send, recipient, short)
            except ContentRefusedError:
                pass
    return writer.write_cards(send, recipient, cards)


def _check_parameters(template: Template, content: TemplateContent, filled: TemplateContent) -> None:
    """Raises ContentRefusedError for what the channel would refuse; `filled` is the content with its values."""
    for field, message in shape_faults(template, content):
        raise ContentRefusedError(Reason.TEMPLATE_PARAMETERS, message, field)
    header = [filled.header_parameter] if content.header_parameter else []
    buttons = [text for _, text in filled.button_parameters]
    if not all(text.strip() for text in (*filled.parameters, *header, *buttons)):
        raise ContentRefusedError(Reason.TEMPLATE_PARAMETERS, "a parameter is empty when filled in")
    if len(filled.header_parameter) > HEADER_LENGTH_MAX:
        raise ContentRefusedError(
            Reason.TEMPLATE_PARAMETERS,
            f"has {len(filled.header_parameter)} characters, {HEADER_LENGTH_MAX} at most go into a header",
            "header_parameter",
        )
    if filled.header_media is not None and not is_address(filled.header_media.url):
        raise ContentRefusedError(
            Reason.TEMPLATE_PARAMETERS, "its address is none when filled in", "header_media"
        )
