"""The schemas as they are now, written beside the migrations that made them."""
