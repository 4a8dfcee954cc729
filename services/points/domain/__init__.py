"""Rules of points: pure, no I/O, no clock, no protobuf."""
