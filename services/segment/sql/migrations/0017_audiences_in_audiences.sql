-- The saved audiences that one names itself: none did before, so none is what the present rows name.
ALTER TABLE saved_audience ADD COLUMN named_audiences uuid[] NOT NULL DEFAULT '{}';
