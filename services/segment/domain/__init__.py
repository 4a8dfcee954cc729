"""The rules of segment: pure, without I/O, clock or randomness."""
