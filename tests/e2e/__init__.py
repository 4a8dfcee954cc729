"""Whole installations."""
