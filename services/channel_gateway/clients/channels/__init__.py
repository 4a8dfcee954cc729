"""The channels, one module each: what is written, how it is sent, what the answers mean."""
