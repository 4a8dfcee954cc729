"""pytest fixtures: servers once a session, a database of its own for each test.

Load them by `pytest_plugins = ["libs.common.testing.fixtures"]` in `tests/conftest.py`.
"""
