"""Measurements of the hot paths against servers of their own: ``make bench``."""
