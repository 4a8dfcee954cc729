"""What all services share and none of them owns: time, ids, errors, database, RPC, start and stop."""
