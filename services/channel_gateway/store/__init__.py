"""All SQL of the gateway: rows in, domain objects out. The statements are in `sql/queries/`."""
