"""What several services ask of another one."""
