"""Settings of the emulators, the only place that reads their environment."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class EmulatorSettings(BaseSettings):
    """`OMNIJOURNEY_EMULATOR_<FIELD>`; command line flags of the same name win."""

    model_config = SettingsConfigDict(env_prefix="OMNIJOURNEY_EMULATOR_", env_ignore_empty=True)

    host: str = "127.0.0.1"
    """Address to listen on."""
    whatsapp_port: int = Field(default=7491, ge=0, le=65535)
    """Port of the WhatsApp Cloud API emulator; 0 takes any free one."""
    line_port: int = Field(default=7492, ge=0, le=65535)
    """Port of the LINE Messaging API emulator; 0 takes any free one."""
    messenger_port: int = Field(default=7493, ge=0, le=65535)
    """Port of the Messenger Send API emulator; 0 takes any free one."""
    instagram_port: int = Field(default=7494, ge=0, le=65535)
    """Port of the Instagram messaging emulator; 0 takes any free one."""
    data_dir: Path = Path(".omnijourney/emulators")
    """Where the logs of accepted messages and of the emulators' own state lie."""
    token: str = Field(default="emulator-token", min_length=1)
    """Bearer token of the account that exists from the start, on each emulator."""
    secret: str = Field(default="emulator-secret", min_length=1)
    """Signs the webhooks that the emulators send; the app secret of the first page and Instagram account."""
    whatsapp_phone_number_id: str = "100000000000001"
    """Sender of the WhatsApp account that exists from the start."""
    whatsapp_waba_id: str = "200000000000001"
    """Business account that owns the templates of that sender."""
    whatsapp_rate: float = Field(default=80.0, gt=0)
    """Messages a second that one WhatsApp sender may send (80 by default, up to 1,000 after an upgrade)."""
    whatsapp_webhook_url: str = ""
    """Where statuses go; empty sends none."""
    messenger_page_id: str = "300000000000001"
    """Page of the Messenger account that exists from the start, and behind the first Instagram account."""
    messenger_webhook_url: str = ""
    """Where what happens at pages goes; empty sends none."""
    instagram_id: str = "400000000000001"
    """The Instagram account that exists from the start."""
    instagram_webhook_url: str = ""
    """Where what happens at Instagram accounts goes; empty sends none."""
    pages_rate: float = Field(default=100.0, gt=0)
    """Messages a second that one page or Instagram account may send."""
    line_rate: float = Field(default=2000.0, gt=0)
    """Requests a second that one LINE channel may send to one endpoint."""
    line_quota: int | None = Field(default=None, ge=0)
    """Messages a calendar month that the LINE plan holds; none is no limit."""
    line_webhook_url: str = ""
    """Where simulated LINE events go; empty sends none."""
