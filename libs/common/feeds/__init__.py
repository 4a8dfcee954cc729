"""Histories as they are followed: who is notified of a commit, who reads pages, who keeps the cursor."""
