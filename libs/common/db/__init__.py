"""PostgreSQL: pools, team-bound transactions, named queries, migrations and histories."""
