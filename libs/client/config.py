"""Where a client finds an installation: the environment, else what runs in the data directory, else the defaults."""

from pathlib import Path

from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict

from libs.client.found import InstallationFile, tools_tls
from libs.client.services import SERVICES, ServiceName
from libs.common.config import DEFAULT_PORTS, TlsSettings
from libs.common.tls import Tls


class ClientSettings(TlsSettings):
    """`OMNIJOURNEY_<FIELD>`. A value that is handed in wins over the environment."""

    model_config = SettingsConfigDict(env_prefix="OMNIJOURNEY_", env_ignore_empty=True)

    data_dir: Path = Path(".omnijourney")
    token: SecretStr = SecretStr("")
    """API token; empty: the generated one of the data directory."""
    journey_target: str = ""
    """`host:port` of each service; empty: as the running installation says, else the default port here."""
    points_target: str = ""
    channel_gateway_target: str = ""
    segment_target: str = ""
    stats_target: str = ""

    def targets(self) -> dict[ServiceName, str]:
        """`host:port` of every service."""
        found = InstallationFile(self.data_dir).read()
        said = found.targets if found else {}
        return {
            service: getattr(self, f"{service}_target")
            or said.get(service)
            or f"127.0.0.1:{DEFAULT_PORTS[service]}"
            for service in SERVICES
        }

    def tls_of_calls(self) -> Tls | None:
        """How services are called: as configured, else as the running installation says; None: without TLS."""
        if self.tls_ca_file is not None or self.tls_cert_file is not None:
            return Tls(self.tls_ca_file, self.tls_cert_file, self.tls_key_file)
        found = InstallationFile(self.data_dir).read()
        return tools_tls(found.tls_dir) if found and found.tls_dir else None

    def api_token(self) -> str:
        """The token to send; empty when there is none to be found."""
        token_file = self.data_dir / "token"
        return self.token.get_secret_value() or (
            token_file.read_text().strip() if token_file.is_file() else ""
        )
