"""Decisions of the journey service: pure, total, without clock, I/O or chance."""
