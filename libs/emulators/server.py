"""Runs the emulators: each on its own port, both in one process or each alone."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from libs.emulators.base import Emulator
from libs.emulators.clock import EmulatorClock
from libs.emulators.config import EmulatorSettings
from libs.emulators.line import LineEmulator
from libs.emulators.webhooks import LINE, META, Aim, WebhookSender
from libs.emulators.whatsapp import WhatsAppEmulator

CHANNELS = ("whatsapp", "line")
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
            port = settings.whatsapp_port if channel == "whatsapp" else settings.line_port
            result.urls[channel] = await _serve(stack, emulator, settings.host, port)
            result.emulators[channel] = emulator
        yield result


async def _emulator(
    stack: AsyncExitStack, channel: str, settings: EmulatorSettings, clock: EmulatorClock
) -> Emulator:
    if channel == "whatsapp":
        url, platform = settings.whatsapp_webhook_url, META
    elif channel == "line":
        url, platform = settings.line_webhook_url, LINE
    else:
        raise ValueError(f"no emulator of {channel}; there are {', '.join(CHANNELS)}")
    sender = await stack.enter_async_context(WebhookSender(platform, Aim(url, settings.secret)))
    made = WhatsAppEmulator if channel == "whatsapp" else LineEmulator
    return made(settings, settings.data_dir, clock, sender)


async def _serve(stack: AsyncExitStack, emulator: Emulator, host: str, port: int) -> str:
    runner = web.AppRunner(emulator.app(), access_log=None, shutdown_timeout=SHUTDOWN_S)
    stack.push_async_callback(runner.cleanup)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    taken: int = runner.addresses[0][1]
    return f"http://{host}:{taken}"
