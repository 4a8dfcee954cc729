"""The service `segment`: teams, customers and audiences."""
