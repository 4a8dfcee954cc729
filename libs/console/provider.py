"""Signing in by an identity provider: OpenID Connect, the authorization code flow with PKCE.

The provider says who somebody is; the people file says as which API client they act. Everything else, who may do what
and which team is shown, stays with that client's token.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

import aiohttp
import structlog
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from libs.common.clock import Clock, SystemClock
from libs.console.config import LOOPBACK, ConsoleSettings
from libs.console.languages import noted
from libs.console.people import People
from libs.console.sessions import Attempt

BACK_PATH: Final = "/sign-in/provider/back"
"""Where the provider sends people back to."""
CALL_S: Final = 10.0
"""What a call of the provider may take, seconds."""
ANSWER_BYTES_MAX: Final = 256 * 1024
ATTEMPT_S: Final = 600
"""How long somebody may take at the provider's page, seconds."""
_KEPT_S: Final = 3600.0
"""How long the provider's addresses and keys are believed."""
_KEYS_AGAIN_S: Final = 60.0
"""A key that is not known makes the keys be read again, so seldom at most."""
_LEEWAY_S: Final = 60
"""By how much the provider's clock may differ from ours."""
_ALGORITHMS: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
)
"""What an ID token may be signed with: keys that are published, never a secret or nothing."""
_AWAY: Final = noted("The sign-in service does not answer. Try again in a minute, or sign in with a token.")
_BROKEN_OFF: Final = noted("The sign-in was broken off. Try again.")
_NOT_OURS: Final = noted("This sign-in was not begun here, or too long ago. Try again.")
_UNSOUND: Final = noted(
    "What the sign-in service says of you cannot be trusted. Tell whoever runs the installation."
)
_NOBODY: Final = noted(
    "Your account may not use this console yet. Whoever runs the installation adds it to the people file."
)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Person:
    """Who came back, and with which token they act."""

    name: str
    token: str


class SignInError(Exception):
    """Nobody is signed in; its text is a sentence of the catalogue."""


@dataclass(frozen=True, slots=True)
class Registration:
    """What the provider knows this console by."""

    issuer: str
    client_id: str
    client_secret: str
    redirect_uri: str
    scopes: str = "openid email profile"


class Provider:
    """An identity provider. Its addresses and keys are read when somebody first comes, and again each hour."""

    def __init__(
        self,
        registration: Registration,
        people: People,
        clock: Clock | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nobody is asked yet."""
        self._registration = registration
        self._people = people
        self._clock = clock or SystemClock()
        self._monotonic = monotonic
        self._http: aiohttp.ClientSession | None = None
        self._addresses: tuple[float, dict[str, Any]] | None = None
        self._keys: tuple[float, KeySet] | None = None

    @classmethod
    def of(cls, settings: ConsoleSettings) -> Provider | None:
        """The configured one. Raises OSError or ValueError where the people file is unusable."""
        if not settings.console_oidc_issuer or settings.console_oidc_people_file is None:
            return None
        registration = Registration(
            issuer=settings.console_oidc_issuer,
            client_id=settings.console_oidc_client_id,
            client_secret=settings.console_oidc_client_secret.get_secret_value(),
            redirect_uri=f"{settings.console_url}{BACK_PATH}",
            scopes=settings.console_oidc_scopes,
        )
        return cls(registration, People.read(settings.console_oidc_people_file))

    async def begin(self, back: str) -> tuple[str, Attempt]:
        """The address to send somebody to, and what their session keeps meanwhile. Raises SignInError."""
        addresses = await self._known_addresses()
        attempt = Attempt(
            state=secrets.token_urlsafe(24),
            nonce=secrets.token_urlsafe(24),
            verifier=secrets.token_urlsafe(48),
            began=self._now(),
            back=back[:500],
        )
        address = prepare_grant_uri(
            addresses["authorization_endpoint"],
            self._registration.client_id,
            "code",
            redirect_uri=self._registration.redirect_uri,
            scope=self._registration.scopes,
            state=attempt.state,
            nonce=attempt.nonce,
            code_challenge=create_s256_code_challenge(attempt.verifier),  # type: ignore[no-untyped-call]
            code_challenge_method="S256",
        )
        return str(address), attempt

    async def finish(self, attempt: Attempt | None, query: Mapping[str, str]) -> Person:
        """Who came back with what the provider added to our address. Raises SignInError."""
        shown = query.get("state", "")
        if attempt is None or not secrets.compare_digest(shown.encode(), attempt.state.encode()):
            raise SignInError(_NOT_OURS)
        if self._now() - attempt.began > ATTEMPT_S or query.get("iss", self._issuer) != self._issuer:
            raise SignInError(_NOT_OURS)
        if "error" in query or not query.get("code"):
            _log.warning("the identity provider refused a sign-in", code=query.get("error", "")[:100])
            raise SignInError(_BROKEN_OFF)
        answer = await self._exchanged(query["code"], attempt.verifier)
        claims = await self._claims(answer, attempt.nonce)
        token = self._people.token_of(claims)
        if not token:
            raise SignInError(_NOBODY)
        name = next((claims[each] for each in ("name", "email", "sub") if claims.get(each)), "")
        return Person(str(name)[:100], token)

    async def close(self) -> None:
        """Ends its connections."""
        if self._http is not None:
            await self._http.close()

    @property
    def _issuer(self) -> str:
        return self._registration.issuer

    def _now(self) -> int:
        """Seconds since 1970."""
        return int(self._clock.now().timestamp())

    async def _known_addresses(self) -> dict[str, Any]:
        if self._addresses is not None and self._monotonic() - self._addresses[0] < _KEPT_S:
            return self._addresses[1]
        found = await self._asked("GET", f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        needed = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        if found.get("issuer") != self._issuer or not all(self._is_safe(found.get(name)) for name in needed):
            _log.error(
                "the identity provider describes itself as another one", names=str(found.get("issuer"))[:200]
            )
            raise SignInError(_UNSOUND)
        self._addresses = (self._monotonic(), found)
        return found

    def _is_safe(self, address: object) -> bool:
        """Whether what is said there cannot be overheard: only a provider on this machine may do without TLS."""
        if not isinstance(address, str):
            return False
        parts = urlsplit(address)
        own = urlsplit(self._issuer)
        return parts.scheme == "https" or (own.scheme == "http" and parts.hostname in LOOPBACK)

    async def _exchanged(self, code: str, verifier: str) -> dict[str, Any]:
        """The tokens for a code."""
        addresses = await self._known_addresses()
        mine = self._registration
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": mine.redirect_uri,
            "code_verifier": verifier,
        }
        # The default of the standard, where the provider does not say what it takes.
        ways = addresses.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if "client_secret_basic" in ways:
            login = aiohttp.encode_basic_auth(quote(mine.client_id, ""), quote(mine.client_secret, ""))
            return await self._asked(
                "POST", addresses["token_endpoint"], data=form, headers={"Authorization": login}
            )
        form |= {"client_id": mine.client_id, "client_secret": mine.client_secret}
        return await self._asked("POST", addresses["token_endpoint"], data=form)

    async def _claims(self, answer: Mapping[str, Any], nonce: str) -> Mapping[str, Any]:
        """What the ID token of this answer says, when it is for us and for this attempt."""
        raw = answer.get("id_token")
        if not isinstance(raw, str):
            raise SignInError(_UNSOUND)
        try:
            token = await self._verified(raw)
            claims = CodeIDToken(
                token.claims,
                token.header,
                options={
                    "iss": {"essential": True, "value": self._issuer},
                    "aud": {"essential": True, "value": self._registration.client_id},
                },
                params={
                    "nonce": nonce,
                    "client_id": self._registration.client_id,
                    "access_token": answer.get("access_token"),
                },
            )
            claims.validate(self._now(), _LEEWAY_S)
        except (JoseError, ValueError, TypeError) as error:
            _log.warning("an ID token was refused", error=str(error))
            raise SignInError(_UNSOUND) from error
        return dict(claims)

    async def _verified(self, raw: str) -> jwt.Token:
        """By the provider's keys; by new ones where it has changed them meanwhile."""
        try:
            return jwt.decode(raw, await self._known_keys(_KEPT_S), algorithms=_ALGORITHMS)
        except (JoseError, ValueError):
            return jwt.decode(raw, await self._known_keys(_KEYS_AGAIN_S), algorithms=_ALGORITHMS)

    async def _known_keys(self, kept_s: float) -> KeySet:
        if self._keys is not None and self._monotonic() - self._keys[0] < kept_s:
            return self._keys[1]
        addresses = await self._known_addresses()
        keys = KeySet.import_key_set(await self._asked("GET", addresses["jwks_uri"]))  # type: ignore[arg-type]
        self._keys = (self._monotonic(), keys)
        return keys

    async def _asked(self, method: str, address: str, **options: Any) -> dict[str, Any]:
        """The object that the provider answers with. Raises SignInError."""
        if self._http is None:
            timeout = aiohttp.ClientTimeout(total=CALL_S)
            self._http = aiohttp.ClientSession(timeout=timeout, trust_env=True)
        try:
            async with self._http.request(method, address, allow_redirects=False, **options) as answer:
                text = await _read(answer.content)
                if answer.status != 200:
                    _log.warning("the identity provider refused a call", endpoint=address, code=answer.status)
                    raise SignInError(_AWAY if answer.status >= 500 else _UNSOUND)
            said = json.loads(text)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            _log.warning("the identity provider cannot be asked", endpoint=address, error=str(error))
            raise SignInError(_AWAY) from error
        if not isinstance(said, dict):
            raise SignInError(_UNSOUND)
        return said


async def _read(content: aiohttp.StreamReader) -> bytes:
    """All of it. Raises ValueError where it is larger than any such answer."""
    text = b""
    while part := await content.read(64 * 1024):
        text += part
        if len(text) > ANSWER_BYTES_MAX:
            raise ValueError(f"more than {ANSWER_BYTES_MAX} bytes")
    return text
