"""Counting: pure."""
