"""The console: what marketers see in a browser. Pages made on the server, out of the public contracts alone."""
