"""What an identity provider may say, and what is not believed: its words come from a server of the test."""

from __future__ import annotations

import functools
import hmac
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from pydantic import ValidationError

from libs.common.clock import SteppedClock
from libs.console.config import ConsoleSettings
from libs.console.people import People
from libs.console.provider import Person, Provider, Registration, SignInError
from libs.console.sessions import Attempt

NOW = 1_800_000_000
PEOPLE = People("email", {"ann@shop.example": "oj_ann"})


@functools.cache
def key_of(kid: str, _which: str = "") -> RSAKey:
    """A key pair; making one takes its time."""
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig", "alg": "RS256"})


class Company:
    """A provider that says what the test wants."""

    def __init__(self) -> None:
        """Says nothing yet."""
        self.key = key_of("a")
        self.published = [self.key]
        self.description: dict[str, Any] = {}
        self.token: Any = None
        self.asked: dict[str, str] = {}
        self.keys_read = 0
        self.issuer = ""

    def routes(self) -> web.Application:
        """What it serves."""
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self._describe)
        app.router.add_get("/keys", self._keys)
        app.router.add_post("/token", self._token)
        return app

    def sign(self, key: Any = None, header: dict[str, str] | None = None, **changes: Any) -> str:
        """An ID token of Ann, changed so."""
        said = {
            "iss": self.issuer,
            "aud": "console",
            "sub": "1",
            "iat": NOW,
            "exp": NOW + 300,
            "nonce": "n",
            "email": "ann@shop.example",
            "email_verified": True,
            **changes,
        }
        claims = {name: value for name, value in said.items() if value is not None}
        header = header or {"alg": "RS256", "kid": "a"}
        return str(jwt.encode(header, claims, key or self.key, algorithms=[header["alg"]]))

    async def _describe(self, _request: web.Request) -> web.Response:
        own = self.issuer
        ends = {name: f"{own}/{name}" for name in ("authorize", "token", "keys")}
        said = {
            "issuer": own,
            "authorization_endpoint": ends["authorize"],
            "token_endpoint": ends["token"],
            "jwks_uri": ends["keys"],
        }
        return web.json_response(said | self.description)

    async def _keys(self, _request: web.Request) -> web.Response:
        self.keys_read += 1
        return web.json_response(KeySet(self.published).as_dict(private=False))  # type: ignore[arg-type]

    async def _token(self, request: web.Request) -> web.Response:
        self.asked = {**{k: str(v) for k, v in (await request.post()).items()}, **request.headers}
        return web.json_response({"access_token": "x", "token_type": "Bearer", "id_token": self.token})


@pytest_asyncio.fixture
async def company() -> AsyncIterator[Company]:
    company = Company()
    async with TestServer(company.routes(), host="127.0.0.1") as server:
        company.issuer = str(server.make_url("")).rstrip("/")
        yield company


@pytest_asyncio.fixture
async def provider(company: Company) -> AsyncIterator[Provider]:
    registration = Registration(company.issuer, "console", "secret", "http://127.0.0.1/back")
    provider = Provider(registration, PEOPLE, clock=SteppedClock(datetime.fromtimestamp(NOW, UTC)))
    yield provider
    await provider.close()


async def finished(provider: Provider, **query: str) -> Person:
    """Comes back a minute after it began."""
    attempt = Attempt(state="s", nonce="n", verifier="v", began=NOW - 60, back="/")
    return await provider.finish(attempt, {"state": "s", "code": "c", **query})


async def test_who_is_known_acts_as_their_client(company: Company, provider: Provider) -> None:
    company.token = company.sign(name="Ann")
    assert await finished(provider, iss=company.issuer) == Person("Ann", "oj_ann")
    assert company.asked["code_verifier"] == "v"
    assert company.asked["Authorization"].startswith("Basic ")
    await finished(provider)
    assert company.keys_read == 1, "keys are kept"


async def test_a_provider_that_wants_the_secret_in_the_form_gets_it_there(
    company: Company, provider: Provider
) -> None:
    company.description = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    company.token = company.sign()
    await finished(provider)
    assert (company.asked["client_id"], company.asked["client_secret"]) == ("console", "secret")
    assert "Authorization" not in company.asked


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://another.example"},
        {"aud": "another client"},
        {"aud": ["console", "another client"]},  # and does not say who asked
        {"aud": None},
        {"nonce": "of another attempt"},
        {"nonce": None},
        {"exp": NOW - 120},
        {"exp": None},
        {"iat": NOW + 3600},
        {"nbf": NOW + 3600},
        {"azp": "another client"},
        {"sub": None},
    ],
)
async def test_what_is_not_for_us_now_is_not_believed(
    company: Company, provider: Provider, changes: dict[str, Any]
) -> None:
    company.token = company.sign(**changes)
    with pytest.raises(SignInError, match="cannot be trusted"):
        await finished(provider)


async def test_what_its_key_has_not_signed_is_not_believed(company: Company, provider: Provider) -> None:
    other = key_of("a", "another one")
    # The public key as if it were a secret: who takes any algorithm takes this.
    good = company.sign()
    head, _, sealed = good.rpartition(".")
    confused = f"eyJhbGciOiJIUzI1NiIsImtpZCI6ImEifQ.{good.split('.')[1]}"
    mac = hmac.digest(company.key.as_pem(private=False), confused.encode(), "sha256")
    for token in (
        company.sign(other),
        f"{confused}.{urlsafe_b64encode(mac).decode().rstrip('=')}",
        f"eyJhbGciOiJub25lIn0.{good.split('.')[1]}.",
        f"{head}.{sealed[:-4]}AAAA",
        f"{good}.",
        "",
        None,
        7,
    ):
        company.token = token
        with pytest.raises(SignInError, match="cannot be trusted"):
            await finished(provider)


async def test_a_new_key_of_the_provider_is_found(company: Company) -> None:
    clock = [0.0]
    registration = Registration(company.issuer, "console", "secret", "http://127.0.0.1/back")
    provider = Provider(
        registration, PEOPLE, clock=SteppedClock(datetime.fromtimestamp(NOW, UTC)), monotonic=lambda: clock[0]
    )
    company.token = company.sign()
    await finished(provider)
    key = key_of("b")
    company.published = [key]
    company.token = company.sign(key, {"alg": "RS256", "kid": "b"})
    with pytest.raises(SignInError):
        await finished(provider)  # who sends rubbish does not make us ask for keys each time
    clock[0] = 61.0
    assert (await finished(provider)).token == "oj_ann"
    assert company.keys_read == 2
    await provider.close()


@pytest.mark.parametrize(
    ("description", "sentence"),
    [
        ({"issuer": "https://another.example"}, "cannot be trusted"),
        ({"token_endpoint": "http://elsewhere.example/token"}, "cannot be trusted"),
        ({"token_endpoint": "http://192.0.2.1/token"}, "cannot be trusted"),
        ({"jwks_uri": None}, "cannot be trusted"),
        ({"padding": "x" * 300_000}, "does not answer"),
    ],
)
async def test_a_provider_that_describes_itself_wrongly_is_not_asked(
    company: Company, provider: Provider, description: dict[str, Any], sentence: str
) -> None:
    company.description = description
    with pytest.raises(SignInError, match=sentence):
        await provider.begin("/")


async def test_a_provider_that_is_away_is_said_so() -> None:
    provider = Provider(Registration("http://127.0.0.1:1", "c", "s", "http://127.0.0.1/back"), PEOPLE)
    with pytest.raises(SignInError, match="does not answer"):
        await provider.begin("/")
    await provider.close()


@pytest.mark.parametrize(
    "query",
    [{"state": "another"}, {"state": ""}, {"iss": "https://another.example"}, {"error": "x"}, {"code": ""}],
)
async def test_an_answer_that_was_not_asked_for_is_not_exchanged(
    company: Company, provider: Provider, query: dict[str, str]
) -> None:
    company.token = company.sign()
    with pytest.raises(SignInError):
        await finished(provider, **query)
    assert not company.asked


async def test_an_attempt_ends_after_ten_minutes(company: Company, provider: Provider) -> None:
    company.token = company.sign()
    old = Attempt(state="s", nonce="n", verifier="v", began=NOW - 601, back="/")
    for attempt in (old, None):
        with pytest.raises(SignInError, match="not begun here"):
            await provider.finish(attempt, {"state": "s", "code": "c"})


@pytest.mark.parametrize(
    ("people", "claims", "token"),
    [
        (PEOPLE, {"email": "ANN@shop.example", "email_verified": True}, "oj_ann"),
        (PEOPLE, {"email": "ann@shop.example"}, ""),
        (PEOPLE, {"email": "ann@shop.example", "email_verified": "true"}, ""),
        (PEOPLE, {"email": 7, "email_verified": True}, ""),
        (PEOPLE, {}, ""),
        (People("groups", {"b": "2", "a": "1"}), {"groups": ["a", "b", 3, None]}, "2"),
        (People("groups", {"b": "2"}), {"groups": "b"}, "2"),
        (People("groups", {"b": "2"}), {"groups": {"b": True}}, ""),
        (People("groups", {"b": "2"}), {"groups": ["B"]}, ""),
    ],
)
def test_the_first_client_that_fits_counts(people: People, claims: dict[str, Any], token: str) -> None:
    assert people.token_of(claims) == token


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "clients"),
        ("[clients]\n", "clients"),
        ('[clients]\na = "tökén"', "clients"),
        ("[clients]\na = 1", "clients"),
        ('claim = ""\n[clients]\na = "t"', "claim"),
        ('clams = "x"\n[clients]\na = "t"', "clams"),
        ("[clients", "people.toml"),
    ],
)
def test_a_people_file_that_says_something_else_is_named_at_start(
    tmp_path: Path, text: str, fault: str
) -> None:
    file = tmp_path / "people.toml"
    file.write_text(text)
    with pytest.raises(ValidationError, match=fault) as raised:
        ConsoleSettings(console_oidc_people_file=file)
    assert "tökén" not in str(raised.value)


def test_a_provider_is_configured_wholly(tmp_path: Path) -> None:
    file = tmp_path / "people.toml"
    file.write_text('[clients]\n"a@b.example" = "oj_x"\n')
    whole: dict[str, Any] = {
        "console_url": "https://console.example",
        "console_oidc_issuer": "https://login.example",
        "console_oidc_client_id": "c",
        "console_oidc_client_secret": "s",
        "console_oidc_people_file": file,
    }
    assert Provider.of(ConsoleSettings(**whole)) is not None
    assert Provider.of(ConsoleSettings()) is None
    for name in whole.keys() - {"console_oidc_issuer"}:
        with pytest.raises(ValidationError, match=name.upper()):
            ConsoleSettings(**{key: value for key, value in whole.items() if key != name})
    for issuer in ("http://login.example", "login.example", "https://login.example?x=1"):
        with pytest.raises(ValidationError, match="only on this machine"):
            ConsoleSettings(**{**whole, "console_oidc_issuer": issuer})
    with pytest.raises(ValidationError, match="must have openid"):
        ConsoleSettings(**whole, console_oidc_scopes="email")
