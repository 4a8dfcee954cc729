"""Audiences as forms: what a condition can be, groups of them within each other, and what both say together."""
