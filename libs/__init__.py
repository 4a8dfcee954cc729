"""What the services share, and what stands around them; nothing here imports a service."""
