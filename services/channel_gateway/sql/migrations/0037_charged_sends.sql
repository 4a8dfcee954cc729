-- Sends that cost something, for the list of charges: beside many that cost nothing. Its columns and its condition change with no outcome,
-- so that a send is still changed in its place.
CREATE INDEX delivery_charged ON delivery (team_id, created_at, effect_key) WHERE price_micros > 0;
