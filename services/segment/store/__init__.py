"""All SQL of segment: rows in, values of the domain out. Queries are in `sql/queries/`."""
