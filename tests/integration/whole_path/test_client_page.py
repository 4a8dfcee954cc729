"""Every example of docs/client.md runs against real services, one after another as they stand there."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

import omnijourney.client as oj
from libs.common.rpc.values import timestamp
from libs.testing.fixtures import Servers
from omnijourney.common.v1 import money_pb2
from omnijourney.journey.v1 import trigger_pb2
from tests.integration.whole_path.stage import Stage, waits

pytestmark = pytest.mark.asyncio(loop_scope="package")
PAGE: Final = Path(__file__).parents[3] / "docs" / "client.md"
TOP_LEVEL_AWAIT: Final = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


def _examples() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


async def _run(example: str, names: dict[str, Any]) -> None:
    """As if it stood in a coroutine; one that would block the services' own loop runs in a thread."""
    code = compile(example, PAGE.name, "exec", flags=TOP_LEVEL_AWAIT)
    if code.co_flags & inspect.CO_COROUTINE:
        await eval(code, names)
    else:
        await asyncio.to_thread(exec, code, names)


async def test_the_examples_of_the_page_work(
    stage: Stage,
    servers: Servers,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for name, target in stage.site.targets.items():
        monkeypatch.setenv(f"OMNIJOURNEY_{name.upper()}", target)
    monkeypatch.setenv("OMNIJOURNEY_TOKEN", servers.token)
    monkeypatch.setenv("OMNIJOURNEY_DATA_DIR", str(tmp_path))
    some = trigger_pb2.AmountCondition(at_least=money_pb2.Money(currency_code="TWD", amount_micros=1))
    bought = trigger_pb2.Trigger(checkout_completed=trigger_pb2.CheckoutCompleted(amount=some))
    journey_id = await stage.live(waits("wait"), name="Bought", trigger=bought)
    now = await stage.site.now()
    printed: list[str] = []
    names: dict[str, Any] = {
        "print": lambda *said: printed.append(" ".join(map(str, said))),
        "team_id": stage.site.team_id,
        "journey_id": journey_id,
        "start": timestamp(now - timedelta(days=1)),
        "end": timestamp(now),
    }
    examples = _examples()
    assert len(examples) == 8, "each heading has its example"
    first, blocking, *others = examples
    await _run(first, names)
    names["customer_id"] = names["answer"].customer.customer_id
    await _run(blocking, names)
    async with oj.AsyncClient.from_environment() as client:
        names["client"] = client
        for example in others:
            await _run(example, names)
    assert printed == [
        names["customer_id"],
        "Ann",
        "M-1 Ann",
        "24 hours",
        "0",
        "somebody else was faster: read again and repeat",
    ]
    balance = await stage.call("GetBalance", customer_id=names["customer_id"])
    assert balance.balance.balance == 50
