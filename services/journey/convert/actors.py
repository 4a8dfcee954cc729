"""Partitions, workers, mail and parked customers, as operators see them."""

from __future__ import annotations

from libs.common.mailbox.api import Depth
from libs.common.mailbox.mail import Mail
from libs.common.rpc.values import timestamp
from omnijourney.journey.v1 import actor_pb2
from services.journey.domain.parked import ParkedMail, ParkedRow
from services.journey.domain.views import Lease, WorkerRow


def partition_message(partition: int, depth: Depth, lease: Lease | None) -> actor_pb2.Partition:
    """A partition as operators see it."""
    message = actor_pb2.Partition(
        partition=partition, ready_customer_count=depth.ready, checked_out_customer_count=depth.taken
    )
    if lease is not None:
        message.worker_id = lease.owner
        message.epoch = lease.epoch
        message.lease_expire_time.CopyFrom(timestamp(lease.expires_at))
    return message


def worker_message(worker: WorkerRow, partitions: int) -> actor_pb2.Worker:
    """A worker as operators see it."""
    return actor_pb2.Worker(
        worker_id=worker.worker_id,
        draining=worker.draining,
        partition_count=partitions,
        expire_time=timestamp(worker.expires_at),
    )


def parked_message(row: ParkedRow, mail: ParkedMail) -> actor_pb2.ParkedCustomer:
    """A parked customer as operators see them."""
    return actor_pb2.ParkedCustomer(
        customer_id=str(row.customer_id),
        error_message=row.error,
        attempts=row.attempts,
        park_time=timestamp(row.parked_at),
        mails=map(mail_item, mail.mails),
        silent_sources=[actor_pb2.MailSource.ValueType(source) for source in mail.silent],
    )


def mail_item(mail: Mail) -> actor_pb2.MailItem:
    """A mail as operators see it."""
    return actor_pb2.MailItem(
        source=actor_pb2.MailSource.ValueType(mail.source),
        number=mail.number,
        kind=type(mail.body).__name__,
        occur_time=timestamp(mail.occurred_at),
        event_id=str(mail.event_id),
    )
