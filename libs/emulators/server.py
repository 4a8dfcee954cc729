"""Runs the emulators: each on its own port, all in one process or each alone."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from libs.emulators.base import Emulator
from libs.emulators.clock import EmulatorClock
from libs.emulators.config import EmulatorSettings
from libs.emulators.line import LineEmulator
from libs.emulators.pages import InstagramEmulator, MessengerEmulator
from libs.emulators.webhooks import LINE, META, Aim, Platform, WebhookSender
from libs.emulators.whatsapp import WhatsAppEmulator

_MADE: dict[str, tuple[Callable[..., Emulator], Platform]] = {
    "whatsapp": (WhatsAppEmulator, META),
    "line": (LineEmulator, LINE),
    "messenger": (MessengerEmulator, META),
    "instagram": (InstagramEmulator, META),
}
CHANNELS = tuple(_MADE)
SHUTDOWN_S = 1.0
"""How long open requests may take to end when an emulator is stopped."""


@dataclass(slots=True)
class Running:
    """The emulators that run: base URL and object by channel."""

    urls: dict[str, str] = field(default_factory=dict)
    emulators: dict[str, Emulator] = field(default_factory=dict)


@asynccontextmanager
async def running(
    settings: EmulatorSettings, channels: tuple[str, ...] = CHANNELS, clock: EmulatorClock | None = None
) -> AsyncIterator[Running]:
    """Serves the emulators of `channels`; raises OSError when a port is taken."""
    clock = clock or EmulatorClock()
    result = Running()
    async with AsyncExitStack() as stack:
        for channel in channels:
            emulator = await _emulator(stack, channel, settings, clock)
            stack.callback(emulator.close)
            port: int = getattr(settings, f"{channel}_port")
            result.urls[channel] = await _serve(stack, emulator, settings.host, port)
            result.emulators[channel] = emulator
        yield result


async def _emulator(
    stack: AsyncExitStack, channel: str, settings: EmulatorSettings, clock: EmulatorClock
) -> Emulator:
    if channel not in _MADE:
        raise ValueError(f"no emulator of {channel}; there are {', '.join(CHANNELS)}")
    made, platform = _MADE[channel]
    url: str = getattr(settings, f"{channel}_webhook_url")
    sender = await stack.enter_async_context(WebhookSender(platform, Aim(url, settings.secret)))
    return made(settings, settings.data_dir, clock, sender)


async def _serve(stack: AsyncExitStack, emulator: Emulator, host: str, port: int) -> str:
    runner = web.AppRunner(emulator.app(), access_log=None, shutdown_timeout=SHUTDOWN_S)
    stack.push_async_callback(runner.cleanup)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    taken: int = runner.addresses[0][1]
    return f"http://{host}:{taken}"
