"""schemathesis against `docs/openapi.yaml`: what the description allows and what it does not, and whether the answers
are those that it promises."""

import base64
import hashlib
import hmac
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import hypothesis
import requests
import schemathesis
from hypothesis import HealthCheck, Phase
from schemathesis.checks import load_all_checks
from schemathesis.core.failures import Failure, FailureGroup

from tests.fuzz.world import World
from tools.paths import ROOT

DESCRIPTION: Final = ROOT / "docs" / "openapi.yaml"
Note = Callable[[str, str, float], None]
Fault = Callable[..., None]
CHECKS: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
"""Not whether odd data is refused: fields that nobody described are passed over, as the description says."""
TIMEOUT_S: Final = 15.0


class Signer(requests.auth.AuthBase):
    """Signs what is sent as the own team's shop would."""

    def __init__(self, secret: str) -> None:
        self._key = base64.b64decode(secret.removeprefix("whsec_"))

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body: Any = request.body or b""
        data = body if isinstance(body, bytes) else body.encode()
        webhook_id, now = str(uuid.uuid5(uuid.NAMESPACE_OID, repr(data))), int(datetime.now(UTC).timestamp())
        signed = hmac.new(self._key, f"{webhook_id}.{now}.".encode() + data, hashlib.sha256).digest()
        request.headers["webhook-id"] = webhook_id
        request.headers["webhook-timestamp"] = str(now)
        request.headers["webhook-signature"] = f"v1,{base64.b64encode(signed).decode()}"
        return request


def run(world: World, seed: int, examples: int, note: Note, fault: Fault) -> None:
    """`examples` of each operation and kind; blocks. `note(name, code, seconds)` hears of each answer, `fault(what, …)`
    of each that is not as described."""
    load_all_checks()
    checks = schemathesis.checks.CHECKS.get_by_names(list(CHECKS))
    described: Any = schemathesis.openapi.from_path(str(DESCRIPTION))
    for operation in (found.ok() for found in described.get_all_operations()):
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):
            name = f"OpenAPI {operation.method.upper()} {operation.path} {mode.value}"
            try:
                strategy = operation.as_strategy(generation_mode=mode)
                _each(
                    strategy,
                    seed,
                    examples,
                    _Caller(world, name, checks, note, fault),
                )
            except hypothesis.errors.Unsatisfiable:
                continue  # nothing can be wrong with a request that has nothing in it


def _each(strategy: Any, seed: int, examples: int, use: Any) -> None:
    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(strategy)
    def each(case: Any) -> None:
        use(case)

    each()


@dataclass(frozen=True)
class _Caller:
    """Makes the calls of one operation and kind."""

    world: World
    name: str
    checks: Any
    note: Note
    fault: Fault

    def __call__(self, case: Any) -> None:
        answer = self._answer(case)
        self.note(self.name, str(answer.status_code), float(answer.elapsed))
        try:
            case.validate_response(answer, checks=self.checks)
        except (Failure, FailureGroup) as error:
            why = [str(each)[:600] for each in getattr(error, "exceptions", [error])]
            curl = case.as_curl_command()[:1_500]
            self.fault(f"OpenAPI {answer.status_code}", name=self.name, why=why, curl=curl)

    def _answer(self, case: Any) -> Any:
        shop, url = self.world.edge_shop, self.world.installation.http_url
        with requests.Session() as session:
            if case.path_parameters:
                # A path as described is ours: there is no other that anything can be sent to.
                if "positive" in self.name:
                    case.path_parameters.update({"team_id": shop.team_id, "shop_id": shop.shop_id})
                session.auth = Signer(shop.webhook_secret)
            return case.call(base_url=url, session=session, timeout=TIMEOUT_S)
