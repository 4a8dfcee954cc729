-- Journeys that customers can be in, which every load of turns looks at: a team's stopped ones are not read for it, however many there are.
CREATE INDEX journey_inside ON journey (team_id, journey_id) INCLUDE (version)
 WHERE deleted_at IS NULL AND status = ANY (ARRAY[2, 3, 4, 5]);
