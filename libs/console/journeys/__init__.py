"""What the pages of journeys are made of: words, the tree, and what forms make of a definition."""
