"""SQL of segment: named queries and migrations."""
