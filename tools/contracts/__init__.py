"""The contracts in ``protos/``: generated code, style, breaking changes, and what is not implemented yet."""
