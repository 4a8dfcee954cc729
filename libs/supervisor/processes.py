"""Each process of an installation: its command line, its environment, and how one sees that it is ready."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from libs.client.services import ServiceName
from libs.common import credentials
from libs.common.tls import Tls
from libs.embedded.process import Spec, inherited_environment
from libs.supervisor import certificates
from libs.supervisor.managed import ManagedProcess, all_of, grpc_probe, http_probe
from libs.supervisor.options import InstallationOptions
from libs.supervisor.plan import (
    EMULATED,
    OWNERS_ONLY,
    TOGETHER,
    Plan,
    certificate_environment,
    console_command,
    emulators_command,
    environment,
    secret_environment,
    service_command,
    together_command,
    worker_environment,
    worker_names,
)


@dataclass(frozen=True, slots=True)
class Processes:
    """Makes them, and starts none."""

    options: InstallationOptions
    plan: Plan
    data_dir: Path
    log_dir: Path
    tls: Tls | None
    """How the services are called."""

    def emulators(self) -> ManagedProcess:
        """The channel emulators, which need no server."""
        urls = (f"{self.plan.url(f'emulator_{channel}')}/_emulator/health" for channel in EMULATED)
        spec = self._spec(
            "emulators", emulators_command(), environment(self.options, self.plan, "", self.data_dir)
        )
        return ManagedProcess(spec, http_probe(*urls))

    def console(self) -> ManagedProcess:
        """The console, which calls the services as any client does and knows no secret of theirs."""
        own = environment(self.options, self.plan, "", self.data_dir) | self._certificate("console")
        url = f"{self.plan.url('console', tls=self.tls is not None)}/health"
        return ManagedProcess(self._spec("console", console_command(), own), http_probe(url, tls=self.tls))

    def of_service(
        self, service: ServiceName, redis_url: str, credentials_file: Path | None
    ) -> list[ManagedProcess]:
        """A service and its further workers. Without a credentials file it is a program that needs none."""
        command = service_command(self.options, service)
        shared = environment(self.options, self.plan, redis_url, self.data_dir)
        own = {**shared, **secret_environment(self.options, service, self.data_dir)}
        if credentials_file is not None:
            own[credentials.FILE_VARIABLE] = str(credentials_file)
        own |= self._certificate(service)
        probe = grpc_probe(self.plan.target(service), self.tls)
        made = [ManagedProcess(self._spec(service, command, own), probe)]
        for name in worker_names(self.options, service):
            spec = self._spec(name, command, {**own, **worker_environment(self.plan, service, name)})
            made.append(ManagedProcess(spec, grpc_probe(self.plan.target(name), self.tls)))
        return made

    def together(self, redis_url: str) -> ManagedProcess:
        """All five services in one: it holds what each of them holds."""
        own = environment(self.options, self.plan, redis_url, self.data_dir)
        own[credentials.DIRECTORY_VARIABLE] = str(self.data_dir / credentials.FOLDER)
        for service in self.options.services:
            own |= secret_environment(self.options, service, self.data_dir)
        own |= self._certificate(TOGETHER)
        probes = [grpc_probe(self.plan.target(service), self.tls) for service in self.options.services]
        return ManagedProcess(self._spec(TOGETHER, together_command(), own), all_of(probes))

    def _certificate(self, holder: str) -> dict[str, str]:
        if not self.options.own_ca:
            return {}
        directory = self.data_dir / certificates.FOLDER
        return certificate_environment(directory, holder, self.options.settings.tls_clients)

    def _spec(self, name: str, command: list[str], variables: Mapping[str, str]) -> Spec:
        given = inherited_environment(variables)
        return Spec(
            name=name,
            command=command,
            env={variable: value for variable, value in given.items() if variable not in OWNERS_ONLY},
            log=None if self.options.log_to_stderr else self.log_dir / f"{name}.log",
        )
