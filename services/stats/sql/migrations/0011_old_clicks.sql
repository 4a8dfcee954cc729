-- Clicks by their age, for those that are forgotten.
CREATE INDEX journey_click_by_time ON journey_click (clicked_at);
