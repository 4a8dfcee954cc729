"""The welcome journey as Restate's Python SDK would have it. Run by the peers' Python: hypercorn restate_app:app.

Each step is durable: the event (its idempotency key is what a repetition is known by), the enrolment, the send, the
delay, the condition, the points and the end. A message goes to a sink in this process. Two forms: in `joined` the
handler sleeps, and the customer's mailbox is blocked while it does; in `joined_free` it ends, and a delayed message
wakes the customer, so that others are taken meanwhile.
"""

import os
import time
from datetime import timedelta
from pathlib import Path

import restate

_DELAY = timedelta(seconds=1)
_POINTS = 10
_TAG = "newcomer"
_REPORTS = Path(os.environ["PEER_REPORTS"]).open("a", buffering=1)  # noqa: SIM115 - as long as the process

customer = restate.VirtualObject("customer")
account = restate.VirtualObject("account")


@customer.handler()
async def know(ctx: restate.ObjectContext, tags: list[str]) -> None:
    """A customer has tags."""
    ctx.set("tags", tags)


@customer.handler()
async def joined(ctx: restate.ObjectContext, event: str) -> None:
    """The whole journey in one turn of the mailbox."""
    await _begin(ctx, event)
    await ctx.sleep(_DELAY)
    await _end(ctx, event)


@customer.handler()
async def joined_free(ctx: restate.ObjectContext, event: str) -> None:
    """Until the delay; the mailbox is free then."""
    await _begin(ctx, event)
    ctx.object_send(wake, key=ctx.key(), arg=event, send_delay=_DELAY)


@customer.handler()
async def wake(ctx: restate.ObjectContext, event: str) -> None:
    """After the delay."""
    await _end(ctx, event)


@account.handler()
async def post(ctx: restate.ObjectContext, points: int) -> int:
    """Adds to the balance."""
    balance = (await ctx.get("balance", type_hint=int) or 0) + points
    ctx.set("balance", balance)
    return balance


async def _begin(ctx: restate.ObjectContext, event: str) -> None:
    ctx.set(event, "live")
    await ctx.run_typed("send", _send, recipient=ctx.key())


async def _send(recipient: str) -> str:
    return f"sent to {recipient}"


async def _end(ctx: restate.ObjectContext, event: str) -> None:
    if _TAG in (await ctx.get("tags", type_hint=list) or []):
        await ctx.object_call(post, key=ctx.key(), arg=_POINTS)
    ctx.set(event, "complete")
    _REPORTS.write(f"{ctx.key()} {time.time():.6f}\n")


app = restate.app([customer, account])
