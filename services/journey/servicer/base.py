"""What the gRPC edge works with, as the composition root hands it over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from libs.common.clock import Clock
from libs.common.db.pool import Pool
from libs.common.feeds.notifier import CommitNotifier
from libs.common.mailbox.api import Mailbox
from libs.common.mailbox.intake import Intake
from libs.common.mailbox.relay import MailRelay
from services.journey.store.actors import ActorStore
from services.journey.store.journeys import JourneyStore
from services.journey.store.mail import JourneyMailStore
from services.journey.usecases.lifecycle import Lifecycle
from services.journey.usecases.parked import ParkedCustomers


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Stores and loops of the service."""

    pool: Pool
    lifecycle: Lifecycle
    journeys: JourneyStore
    actors: ActorStore
    parked: ParkedCustomers
    mail: JourneyMailStore
    relay: MailRelay
    """Delivers the mail of system triggers."""
    intake: Intake
    """Refuses system triggers while too many wait."""
    mailbox: Mailbox
    clock: Clock
    notifier: CommitNotifier
    """Rings when history was written."""
    draining: asyncio.Event
    """Ends waiting reads."""
    nudge: Callable[[], None]
    """Wakes the worker."""
