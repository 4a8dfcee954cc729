"""The demo: one real month through all five services, checked at the end.

It speaks gRPC and HTTP like any other client, and imports no service.
"""
