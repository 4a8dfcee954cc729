"""The `omnijourney` command."""
