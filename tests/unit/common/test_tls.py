"""TLS: its variables are checked at start, servers refuse whom they must, and nothing falls back to plain text."""

import asyncio
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, ClassVar

import grpc
import pytest
from cryptography.hazmat.primitives import serialization

from libs import probe
from libs.client import is_serving
from libs.common.callers import StaticDirectory
from libs.common.config import EXIT_CONFIG, ServiceSettings, load_or_exit
from libs.common.metrics import MetricsEndpoint
from libs.common.rpc.server import GrpcServer
from libs.common.tls import Clients, Tls
from libs.supervisor.certificates import make_certificates
from tests.unit.common.conftest import TOKEN

VARIABLES = ("TLS_CA_FILE", "TLS_CERT_FILE", "TLS_KEY_FILE", "TLS_CLIENTS")


class Settings(ServiceSettings):
    """Those of points."""

    service: ClassVar[str] = "points"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of `points` and `tools` by one authority; `other/` has the same by another."""
    folder = tmp_path_factory.mktemp("tls")
    for directory in (folder, folder / "other"):
        make_certificates(directory, ("points", "tools"), "127.0.0.1")
    return folder


def _tls(files: Path, holder: str, clients: Clients = "off") -> Tls:
    return Tls(files / "ca.pem", files / f"{holder}.pem", files / f"{holder}.key", clients)


def _server(tls: Tls | None) -> GrpcServer:
    return GrpcServer(host="127.0.0.1", port=0, callers=StaticDirectory.installation(TOKEN), tls=tls)


@pytest.mark.parametrize(
    ("clients", "caller", "let_in"),
    [
        ("off", "ca alone", True),
        ("off", "tools", True),
        ("off", "plaintext", False),
        ("off", "another ca", False),
        ("required", "tools", True),
        ("required", "ca alone", False),
        ("required", "another certificate", False),
        ("required", "plaintext", False),
    ],
)
async def test_who_is_let_in(files: Path, clients: Clients, caller: str, let_in: bool) -> None:
    other = files / "other"
    callers: dict[str, Tls | None] = {
        "ca alone": Tls(files / "ca.pem"),
        "tools": _tls(files, "tools"),
        "plaintext": None,
        "another ca": Tls(other / "ca.pem"),
        "another certificate": Tls(files / "ca.pem", other / "tools.pem", other / "tools.key"),
    }
    async with _server(_tls(files, "points", clients)) as server:
        target = f"127.0.0.1:{server.port}"
        assert await is_serving(target, 2, callers[caller]) is let_in
        assert await asyncio.to_thread(_probed, target, callers[caller]) is let_in


def _probed(target: str, tls: Tls | None) -> bool:
    """What the health check of a container finds, with these files in its environment."""
    given = {} if tls is None else {"CA": tls.ca_file, "CERT": tls.cert_file, "KEY": tls.key_file}
    environment = {
        f"OMNIJOURNEY_TLS_{kind}_FILE": str(file) for kind, file in given.items() if file is not None
    }
    try:
        return probe.serves(target, environment)
    except OSError:
        return False


async def test_a_server_without_tls_is_not_spoken_to_by_a_client_with_it(files: Path) -> None:
    async with _server(None) as server:
        assert not await is_serving(f"127.0.0.1:{server.port}", 2, Tls(files / "ca.pem"))


async def test_a_certificate_of_another_machine_is_refused(files: Path) -> None:
    async with _server(_tls(files, "points")) as server:
        named: Any = (("grpc.ssl_target_name_override", "elsewhere.example"),)
        credentials = Tls(files / "ca.pem").channel_credentials()
        async with grpc.aio.secure_channel(f"127.0.0.1:{server.port}", credentials, named) as opened:
            call: Any = opened.unary_unary("/grpc.health.v1.Health/Check")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(b"", timeout=2)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("clients", ["off", "required"])
def test_metrics_ask_for_what_grpc_asks_for(files: Path, clients: Clients) -> None:
    endpoint = MetricsEndpoint("127.0.0.1", 0, _tls(files, "points", clients).server_context())

    def page(context: ssl.SSLContext) -> bytes:
        url = f"https://127.0.0.1:{endpoint.port}/metrics"
        with urllib.request.urlopen(url, timeout=5, context=context) as answer:
            text: bytes = answer.read()
        return text

    try:
        assert b"omnijourney_" in page(_tls(files, "tools").client_context())
        if clients == "required":
            with pytest.raises(OSError, match=r"certificate required|reset|EOF"):
                page(Tls(files / "ca.pem").client_context())
        else:
            assert b"omnijourney_" in page(Tls(files / "ca.pem").client_context())
        with pytest.raises(OSError, match=r"closed|reset|timed out|Remote end"):
            urllib.request.urlopen(f"http://127.0.0.1:{endpoint.port}/metrics", timeout=5)
    finally:
        endpoint.close()


@pytest.mark.rule("X-03")
@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"CERT_FILE": "points.pem"}, "TLS_CERT_FILE: …if and only if OMNIJOURNEY_TLS_KEY_FILE is"),
        ({"KEY_FILE": "points.key"}, "TLS_CERT_FILE: …if and only if OMNIJOURNEY_TLS_KEY_FILE is"),
        ({"CERT_FILE": "points.pem", "KEY_FILE": "tools.key"}, "TLS_CERT_FILE: …KEY_VALUES_MISMATCH"),
        ({"CERT_FILE": "points.pem", "KEY_FILE": "locked.key"}, "TLS_CERT_FILE: …cannot be used"),
        ({"CERT_FILE": "none.pem", "KEY_FILE": "points.key"}, "TLS_CERT_FILE: …No such file"),
        ({"CERT_FILE": "points.pem", "KEY_FILE": "none.key"}, "TLS_KEY_FILE: …cannot be read (No such file"),
        ({"CA_FILE": "none.pem"}, "TLS_CA_FILE: …cannot be read (No such file"),
        ({"CA_FILE": "points.key"}, "TLS_CA_FILE: …cannot be used"),
        ({"CLIENTS": "required"}, "TLS_CLIENTS: …needs OMNIJOURNEY_TLS_CA_FILE and OMNIJOURNEY_TLS_CERT"),
        ({"CLIENTS": "perhaps"}, "TLS_CLIENTS: …Input should be 'off' or 'required'"),
    ],
)
def test_faulty_files_are_told_with_their_variable(
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    given: dict[str, str],
    fault: str,
) -> None:
    _lock(files)
    for name in VARIABLES:
        monkeypatch.delenv(f"OMNIJOURNEY_{name}", raising=False)
    for name, value in given.items():
        shown = value if name == "CLIENTS" else str(files / value)
        monkeypatch.setenv(f"OMNIJOURNEY_TLS_{name}", shown)
    with pytest.raises(SystemExit) as caught:
        load_or_exit(Settings)
    assert caught.value.code == EXIT_CONFIG
    (line,) = capsys.readouterr().err.splitlines()
    variable, _, why = fault.partition(": …")
    assert line.startswith(f"OMNIJOURNEY_{variable}: ")
    assert why in line


def _lock(files: Path) -> None:
    """The key of `points` under a passphrase, which nobody is asked for."""
    key = serialization.load_pem_private_key((files / "points.key").read_bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    (files / "locked.key").write_bytes(locked)


def test_the_authority_is_kept_and_the_rest_made_anew(tmp_path: Path) -> None:
    make_certificates(tmp_path, ("points",), "10.1.1.1")
    ca, leaf = (tmp_path / "ca.pem").read_bytes(), (tmp_path / "points.pem").read_bytes()
    make_certificates(tmp_path, ("points",), "10.1.1.1")
    assert (tmp_path / "ca.pem").read_bytes() == ca
    assert (tmp_path / "points.pem").read_bytes() != leaf
    assert {file.stat().st_mode & 0o777 for file in tmp_path.glob("*.key")} == {0o600}


@pytest.mark.parametrize(
    ("url", "completed"),
    [
        ("rediss://h:1/0", "rediss://h:1/0?ssl_ca_certs=/ca.pem"),
        ("rediss+cluster://h:1?a=b", "rediss+cluster://h:1?a=b&ssl_ca_certs=/ca.pem"),
        ("rediss://h:1?ssl_ca_certs=/own", "rediss://h:1?ssl_ca_certs=/own"),
        ("redis://h:1/0", "redis://h:1/0"),
    ],
)
def test_redis_is_verified_with_the_same_authority(url: str, completed: str) -> None:
    assert Tls(Path("/ca.pem")).of_redis(url) == completed
