"""Fakes and pytest fixtures for tests of the services."""
