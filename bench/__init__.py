"""Measurements of the hot paths against servers of their own: ``make bench``."""

import os

# gRPC reads it when it is imported: a line for each idle connection that is closed would stand between the figures.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
