"""The documentation site: the pages of the repository where they stand, and the contracts made of `protos/`."""
