"""The gateway's configuration: the only reader of its environment."""

import ipaddress
from datetime import timedelta
from pathlib import Path
from typing import Annotated, ClassVar, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator

from libs.common.config import MailSourceSettings, peer_target, refuse_unusable
from libs.common.sealing import key_ring
from libs.common.tls import Tls

LINK_URL_LENGTH_MAX: Final = 200


def checked_url(text: str) -> str:
    """A base address of a channel: `https`, or `http` on loopback. Raises ValueError."""
    parts = urlsplit(text)
    if parts.scheme == "https" and parts.hostname:
        return text.rstrip("/")
    if parts.scheme == "http" and parts.hostname and _is_loopback(parts.hostname):
        return text.rstrip("/")
    raise ValueError("must be an https address, or an http one on loopback")


def checked_link_url(text: str) -> str:
    """The address before tokens of short links: as `checked_url`, with a path at the most; empty: none. Raises
    ValueError."""
    if not text:
        return ""
    parts = urlsplit(text)
    if "@" in parts.netloc or parts.query or parts.fragment or len(text) > LINK_URL_LENGTH_MAX:
        raise ValueError(
            f"must be an address without user, query and fragment, of {LINK_URL_LENGTH_MAX} characters at most"
        )
    return checked_url(text)


def checked_networks(text: str) -> str:
    """Networks, separated by commas. Raises ValueError."""
    networks_of(text)
    return text


def networks_of(text: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    """The networks that a text names. Raises ValueError."""
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


ChannelUrl = Annotated[str, AfterValidator(checked_url)]


class Settings(MailSourceSettings):
    """Read from `OMNIJOURNEY_…`; see its bases for what services share."""

    service: ClassVar[str] = "channel_gateway"

    secret_keys: SecretStr = Field(default=SecretStr(""), validate_default=True)
    """Keys that secrets at rest are encrypted with, 64 hexadecimal digits each, separated by commas: the first one
    encrypts, all decrypt. Empty, with embedded servers only: the one in the data directory, made if there is none."""
    http_port: int = Field(default=7480, ge=0, le=65_535)
    """Port of the HTTP edge: webhooks in; 0 takes any free one."""
    http_tls_key_file: Path | None = None
    """Key of the HTTP edge's own certificate."""
    http_tls_cert_file: Path | None = Field(default=None, validate_default=True)
    """Certificate of the HTTP edge, which shops and channels verify with the system's authorities; empty: the service's
    own. It never asks who calls for a certificate."""
    http_connections_max: int = Field(default=1_000, ge=10)
    """Connections of the HTTP edge; above it the one that has waited longest makes room."""
    http_client_share: float = Field(default=0.25, gt=0, le=1)
    """What one client (an address) may hold of the connections, and of the bytes being read. 1 behind a proxy, where
    all come from one address."""
    http_bytes_max: int = Field(default=128 * 1024 * 1024, ge=1024 * 1024)
    """Bytes of bodies being read and stored at once; above it webhooks wait 5 s and are answered 429."""
    shop_requests_per_second: int = Field(default=2_000, ge=1)
    """Requests that one shop may send; twice as many at once. Above it they are answered 429."""
    whatsapp_url: ChannelUrl = "https://graph.facebook.com"
    """Address of the WhatsApp Cloud API, with or without the version."""
    line_url: ChannelUrl = "https://api.line.me"
    """Address of the LINE Messaging API."""
    messenger_url: ChannelUrl = "https://graph.facebook.com"
    """Address of the Messenger Send API, and of Instagram accounts that are reached through their page; with or without
    the version."""
    instagram_url: ChannelUrl = "https://graph.instagram.com"
    """Address of Instagram accounts with a login of their own, with or without the version."""
    link_url: Annotated[str, AfterValidator(checked_link_url)] = ""
    """Address under which customers reach the HTTP edge's `/l`, such as `https://shop.example/l`: links in messages are
    replaced by short ones below it. Empty: links go out as they are, and no click is seen."""
    link_days: int = Field(default=365, ge=1, le=3_650)
    """Days after its message for which a short link leads anywhere."""
    link_requests_per_second: int = Field(default=20, ge=1)
    """Openings of one link, and requests of one client for links that there are not; twice as many at once. Above it
    they are answered 429."""
    webhook_retention_days: int = Field(default=90, ge=7, le=36_500)
    """Days of domain time for which webhooks that came in are kept, bodies, refusals and ids together. What is sent
    again later than that is taken for new, and segment finds that it is not. A team may say otherwise
    (`UpdateRetention`)."""
    content_retention_days: int = Field(default=90, ge=1, le=36_500)
    """Days of domain time for which what was sent can be read, from the acceptance of the send on: request bodies, with
    what they tell people. A team may say otherwise (`UpdateRetention`)."""
    click_retention_days: int = Field(default=730, ge=1, le=36_500)
    """Days of domain time for which openings of links are kept, from the sending of their message on; never less than
    `link_days`. Figures of journeys stay."""
    webhook_private_networks: Annotated[str, AfterValidator(checked_networks)] = ""
    """Networks such as `10.0.0.0/8`, separated by commas, whose addresses teams' webhooks may go to although they are
    private. Empty: none."""
    webhook_events_max: int = Field(default=100_000, ge=1)
    """Events of stored webhooks that may wait to be forwarded. A team may have as many waiting as there is room for
    more, half of them where it is alone; above it its webhooks are answered 429. Soft: counted once a second."""
    lane_sends_max: int = Field(default=20_000, ge=1)
    """Sends of one account that wait in memory, some 2 kB each; more stay in the database until there is room."""
    segment_target: str = peer_target("segment")
    journey_target: str = peer_target("journey")
    """Asked who uses what is about to be deleted."""
    """host:port of the segment service."""
    points_target: str = peer_target("points")
    """host:port of the points service."""

    @field_validator("secret_keys")
    @classmethod
    def _are_keys(cls, given: SecretStr, info: ValidationInfo) -> SecretStr:
        if given:
            key_ring(given.get_secret_value())
        elif info.data.get("postgres_dsn"):
            # One made here would be another one in every process, and gone with its disk.
            raise ValueError("is required with a database of one's own: openssl rand -hex 32 makes one")
        return given

    @field_validator("http_tls_cert_file")
    @classmethod
    def _goes_with_the_edges_key(cls, given: Path | None, info: ValidationInfo) -> Path | None:
        key = info.data.get("http_tls_key_file")
        if (given is None) != (key is None):
            raise ValueError("must be set if and only if OMNIJOURNEY_HTTP_TLS_KEY_FILE is")
        if given is not None and key is not None:
            refuse_unusable(Tls(None, given, key))
        return given

    @property
    def ports(self) -> dict[str, int]:
        """The ports that it will listen on, by their fields."""
        return {**super().ports, "http_port": self.http_port}

    @property
    def http_tls(self) -> Tls | None:
        """How the HTTP edge serves; None: without TLS."""
        if self.http_tls_cert_file is not None:
            return Tls(None, self.http_tls_cert_file, self.http_tls_key_file)
        return Tls(None, self.tls_cert_file, self.tls_key_file) if self.tls_cert_file is not None else None

    @property
    def webhook_tolerance(self) -> timedelta:
        """How far a webhook's time may be off, either way."""
        return self.ahead_max
