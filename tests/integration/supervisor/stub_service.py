"""Stands in for a service: health on its port, what it was given on stdout, and faults on demand.

    stub_service.py NAME [--die | --stubborn | --late | --away-once]

`--die` ends at the start as a service with a wrong configuration does; `--stubborn` does not obey SIGTERM; `--late`
serves once there is a file `go` in the data directory; `--away-once` ends the first time, as a service does whose
server did not answer.
"""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

EXIT_SERVER_AWAY = 4


async def main(name: str, flags: set[str]) -> int:
    if "--die" in flags:
        sys.stderr.write("OMNIJOURNEY_SOMETHING: not a number\n")
        return 2
    directory = Path(os.environ["OMNIJOURNEY_DATA_DIR"])
    if "--away-once" in flags and not (directory / "away").exists():
        (directory / "away").touch()
        return EXIT_SERVER_AWAY
    while "--late" in flags and not (directory / "go").exists():
        await asyncio.sleep(0.02)
    ours = {key: value for key, value in os.environ.items() if key.startswith("OMNIJOURNEY_")}
    sys.stdout.write(json.dumps(ours) + "\n")
    sys.stdout.flush()
    server = grpc.aio.server()
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    await servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    server.add_insecure_port(f"127.0.0.1:{os.environ[f'OMNIJOURNEY_{name.upper()}_PORT']}")
    await server.start()
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, (lambda: None) if "--stubborn" in flags else told.set)
    await told.wait()
    await server.stop(1)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], set(sys.argv[2:]))))
