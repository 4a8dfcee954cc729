"""What follows a commit that wrote history: mail goes to the relay, feeds are woken, progress shows."""

from libs.common.feeds.notifier import CommitNotifier
from libs.common.mailbox.relay import MailRelay
from libs.common.rpc.operations import Progress
from services.channel_gateway.store.facts import Written


class Outbox:
    """Told after every commit with facts."""

    def __init__(self, relay: MailRelay, notifier: CommitNotifier, progress: Progress) -> None:
        """All of this process."""
        self._relay = relay
        self._notifier = notifier
        self._progress = progress

    def publish(self, written: Written) -> None:
        """Passes on what was written; nothing for an empty one."""
        if not written.ranges:
            return
        self._relay.submit(written.mails, written.ranges)
        self._notifier.notify()
        self._progress.add(sum(last - first + 1 for first, last in written.ranges.values()))
