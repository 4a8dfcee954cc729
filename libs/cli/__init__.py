"""The `omnijourney` command."""

import os

# gRPC reads it when it is imported: a line for each idle connection that is closed would stand between ours.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
