"""`python -m libs.client host:port`: exits 0 when the service there serves, 1 when not. For health checks.

Speaks TLS where `OMNIJOURNEY_TLS_CA_FILE` or `OMNIJOURNEY_TLS_CERT_FILE` is set, as in the service's own environment.
"""

import asyncio
import sys

from libs.client.config import ClientSettings
from libs.client.health import is_serving
from libs.common.config import load_or_exit

if __name__ == "__main__":
    sys.exit(
        0 if asyncio.run(is_serving(sys.argv[1], tls=load_or_exit(ClientSettings).tls_of_calls())) else 1
    )
