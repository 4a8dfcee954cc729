"""Refusals of the gateway that callers get; shared ones are in `libs.common.errors`."""

from libs.common.errors import FailedPrecondition, FieldViolation
from services.channel_gateway.domain.model import WALLET_MICROS_MAX, Channel


class ChannelUnsupported(FailedPrecondition):
    """This release has no adapter for the channel."""

    def __init__(self, channel: Channel) -> None:
        """The channel that was asked for."""
        super().__init__(
            "CHANNEL_UNSUPPORTED",
            f"this release has no adapter for {channel.name}: it cannot send there",
            metadata={"channel": channel.name},
        )


class WalletCurrencyMismatch(FailedPrecondition):
    """Balance and price of prepaid messages are of one currency, and so is what a team is warned at."""

    def __init__(self, currency: str) -> None:
        """The currency of what is there already."""
        super().__init__(
            "WALLET_CURRENCY_MISMATCH",
            f"prepaid messages of the team are paid in {currency}: balance and price are of one currency",
            metadata={"currency": currency},
        )


class WalletBalanceTooLow(FailedPrecondition):
    """More was to be taken than is there."""

    def __init__(self, balance_micros: int) -> None:
        """The present balance."""
        super().__init__(
            "WALLET_BALANCE_TOO_LOW",
            "the prepaid balance holds less than was to be taken",
            metadata={"balance_micros": str(balance_micros)},
        )


class WalletBalanceTooHigh(FailedPrecondition):
    """More was to be added than a wallet may hold."""

    def __init__(self) -> None:
        """Says how much that is."""
        violation = FieldViolation("amount", f"takes the balance above {WALLET_MICROS_MAX} micros")
        super().__init__("INVALID_FIELDS", "the prepaid balance would be too high", violations=[violation])


class SubscriptionLimit(FailedPrecondition):
    """The team has as many subscriptions as it may have."""

    def __init__(self, limit: int) -> None:
        """Most subscriptions of a team."""
        super().__init__(
            "WEBHOOK_SUBSCRIPTION_LIMIT",
            f"a team has at most {limit} subscriptions: delete one first",
            metadata={"limit": str(limit)},
        )


class ShopKeyLimit(FailedPrecondition):
    """The shop has as many valid keys as it may have."""

    def __init__(self, limit: int) -> None:
        """Most valid keys of a shop."""
        super().__init__(
            "SHOP_KEY_LIMIT",
            f"a shop has at most {limit} valid keys: revoke one first",
            metadata={"limit": str(limit)},
        )


class ReservationConflictError(Exception):
    """Nothing of a batch was stored: something that was optimistically taken for granted does not hold."""


class KeyTakenError(ReservationConflictError):
    """A key is stored already: look at what is stored under it."""


class LimitReachedError(ReservationConflictError):
    """A stop concerns some of the batch, or a limit does not hold all of it: decide send by send."""


class CatalogueChangedError(ReservationConflictError):
    """Accounts, content or prices are not those that the batch was made of: read them again."""


class NotOursError(Exception):
    """Nothing of a batch of outcomes was recorded: some of its sends are settled, or another process has them."""


class PixelKeyLimit(FailedPrecondition):
    """The shop has as many keys for pages as it may have."""

    def __init__(self, limit: int) -> None:
        """Most keys of a shop, ended ones among them."""
        super().__init__(
            "SHOP_KEY_LIMIT",
            f"a shop has at most {limit} keys for pages, ended ones among them",
            metadata={"limit": str(limit)},
        )
