"""With a customer goes what is kept under the ids of those who were merged into them (S-08b)."""

from __future__ import annotations

import grpc
import pytest

from libs.common.rpc.errors import remote_error
from libs.testing.fixtures import Servers
from tests.integration.erasure.searching import found_in_redis, found_in_tables
from tests.integration.erasure.test_erasure import (
    DONE,
    NAME,
    TEXTS,
    Person,
    export,
    figures,
    operation,
    stage,
    theatre,
)
from tests.integration.whole_path.stage import Stage

__all__ = ["stage", "theatre"]
pytestmark = [pytest.mark.asyncio(loop_scope="module")]


@pytest.mark.rule("S-08b")
async def test_it_is_told_and_erased_with_the_one_who_stays(stage: Stage, servers: Servers) -> None:
    await stage.call("SetEarningFormula", amount="1", points="1")
    person = Person(stage)
    await person.lives()
    alone = "\n".join(await export(stage, person.customer_id)).lower()
    survivor = (await stage.call("CreateCustomer", customer={"name": "Nobody"})).customer.customer_id
    await stage.call("MergeCustomers", survivor_id=survivor, loser_id=person.customer_id)
    before = await figures(stage)

    told = "\n".join(await export(stage, survivor)).lower()
    wanted = [text.lower() for text in TEXTS if text.lower() in alone and text != NAME]
    assert [text for text in wanted if text not in told] == []

    with pytest.raises(grpc.aio.AioRpcError) as merged:
        await stage.call("StartErasure", customer_id=person.customer_id)
    assert remote_error(merged.value).reason == "CUSTOMER_MERGED"
    # The merge may still be on its way: it is waited for.
    started = await stage.call("StartErasure", customer_id=survivor)
    assert (await operation(stage, started.operation.operation_id)).state == DONE
    assert await found_in_tables(stage.site.admin_dsn, TEXTS) == []
    assert await found_in_redis(servers.redis_url, TEXTS) == []
    assert (await figures(stage)).balance == before.balance
    with pytest.raises(grpc.aio.AioRpcError) as nobody:
        await stage.call("GetCustomer", customer_id=survivor)
    assert nobody.value.code() is grpc.StatusCode.NOT_FOUND
