"""`python -m libs.client host:port`: exits 0 when the service there serves, 1 when not. For health checks."""

import asyncio
import sys

from libs.client.health import is_serving

if __name__ == "__main__":
    sys.exit(0 if asyncio.run(is_serving(sys.argv[1])) else 1)
