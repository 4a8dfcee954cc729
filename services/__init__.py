"""The five services; each has the same rooms, and none imports another."""

import os

# gRPC reads it when it is imported. Its own lines go past our log, and whoever calls can cause one a call.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # noqa: TID251 - a library's variable, not a setting of ours
