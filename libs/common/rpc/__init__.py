"""gRPC: server, client, the one error table, and the operations that every service offers."""
