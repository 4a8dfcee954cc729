"""Rules of the gateway: pure, no I/O, no clock, no randomness."""
