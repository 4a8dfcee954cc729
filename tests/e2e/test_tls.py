"""`omnijourney up --tls`: what grpcurl sees with and without the authority, and that services reach each other."""

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from google.protobuf.duration_pb2 import Duration
from typer.testing import CliRunner

from libs.cli.main import app
from libs.client import Client, ClientSettings
from libs.client.found import InstallationFile
from omnijourney.common.v1.installation_service_pb2 import GetLagRequest
from omnijourney.stats.v1.stats_service_pb2 import ListProjectionStatesRequest
from tests.e2e.installation import up

GRPCURL = shutil.which("grpcurl") or str(Path(sys.executable).with_name("grpcurl"))
REFUSED = "Failed to dial target host"


@dataclass
class Served:
    """An installation with an authority of its own."""

    data_dir: Path
    mutual: bool

    @property
    def settings(self) -> ClientSettings:
        """How a client finds it."""
        return ClientSettings(data_dir=self.data_dir)

    def grpcurl(self, *options: str) -> "subprocess.CompletedProcess[str]":
        """GetLag of segment with the first token."""
        authorization = f"authorization: Bearer {self.settings.api_token()}"
        target = self.settings.targets()["segment"]
        method = "omnijourney.common.v1.InstallationService/GetLag"
        command = (
            GRPCURL,
            *options,
            "-connect-timeout",
            "3",
            "-max-time",
            "10",
            "-H",
            authorization,
            target,
            method,
        )
        return subprocess.run(command, capture_output=True, text=True, check=False)

    @property
    def authority(self) -> tuple[str, str]:
        """The option that says whom to believe."""
        return ("-cacert", str(self.data_dir / "tls" / "ca.pem"))

    @property
    def certificate(self) -> tuple[str, ...]:
        """The options that say who calls."""
        folder = self.data_dir / "tls"
        return ("-cert", str(folder / "tools.pem"), "-key", str(folder / "tools.key"))


@pytest.fixture(scope="module", params=["on", "mutual"])
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    """The command, up, in either way."""
    with tempfile.TemporaryDirectory(prefix="omnijourney-test-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        with up(folder / "data", "--tls", request.param):
            yield Served(folder / "data", request.param == "mutual")


def test_grpcurl_works_with_the_authority_and_a_certificate_where_one_is_asked_for(served: Served) -> None:
    options = (*served.authority, *(served.certificate if served.mutual else ()))
    done = served.grpcurl(*options)
    assert done.returncode == 0, done.stderr
    assert "progress" in json.loads(done.stdout)


@pytest.mark.rule("X-02a")
@pytest.mark.parametrize("options", [("-plaintext",), ()])
def test_plain_text_and_an_unknown_authority_are_refused(served: Served, options: tuple[str, ...]) -> None:
    done = served.grpcurl(*options)
    assert done.returncode != 0
    assert REFUSED in done.stderr
    assert done.stdout == ""


@pytest.mark.rule("X-02a")
def test_a_caller_without_certificate_is_refused_where_one_is_asked_for(served: Served) -> None:
    done = served.grpcurl(*served.authority)
    assert (done.returncode != 0, REFUSED in done.stderr) == (served.mutual, served.mutual)


async def test_services_reach_each_other(served: Served) -> None:
    settings = served.settings
    async with Client(settings.targets(), settings.api_token(), tls=settings.tls_of_calls()) as client:
        lag = await client.installation("stats").GetLag(GetLagRequest(wait=Duration(seconds=20)), timeout=30)
        assert lag.pending == 0
        async with asyncio.timeout(
            30
        ):  # a history that was asked for before its service was up is asked again
            while any(await _faults(client)):
                await asyncio.sleep(0.2)


async def _faults(client: Client) -> list[str]:
    """What stats met last at each of the four histories."""
    states = await client.stats.ListProjectionStates(ListProjectionStatesRequest(), timeout=30)
    assert len(states.states) == 4
    return [state.error_message for state in states.states]


async def test_webhooks_come_in_by_https_alone_and_need_no_certificate(served: Served) -> None:
    found = InstallationFile(served.data_dir).read()
    assert found is not None
    assert found.tls_dir is not None
    assert found.http_url.startswith("https://")
    context = ClientSettings(tls_ca_file=found.tls_dir / "ca.pem").tls_of_calls()
    assert context is not None
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{found.http_url}/healthz", ssl=context.client_context()) as answer:
            assert answer.status == 200
        with pytest.raises(aiohttp.ClientError):
            await session.get(f"{found.http_url.replace('https', 'http')}/healthz")


def test_the_command_line_finds_the_certificates_by_itself(served: Served) -> None:
    done = CliRunner().invoke(app, ["status", "--data-dir", str(served.data_dir)])
    assert (done.exit_code, done.output.count("serving")) == (0, 5)
    exported = CliRunner().invoke(app, ["audit", "export", "--data-dir", str(served.data_dir)])
    assert (exported.exit_code, exported.output) == (0, "")
