"""Statistics: counters over the histories of the other services."""
