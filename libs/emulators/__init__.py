"""Emulators of the channels' send APIs, over real HTTP, for tests and the demo.

They check what the real services check, answer what those answer, and write down each message they accept
in an append-only file that anybody may read. They import no service.
"""
