-- name: write_history
-- Writes facts of content; the positions that they take.
WITH given AS (
    SELECT * FROM unnest(:teams::uuid[], :kinds::smallint[], :times::timestamptz[], :event_ids::uuid[], :content_ids::uuid[],
                         :outcomes::smallint[], :reasons::text[], :partitions::smallint[], allocate_positions(:partitions))
           AS g (team_id, kind, occurred_at, event_id, content_id, outcome, reason, partition, position)
)
INSERT INTO history (partition, position, team_id, kind, occurred_at, event_id, effect_key, outcome, reason)
SELECT partition, position, team_id, kind, occurred_at, event_id, content_id, outcome, reason FROM given
RETURNING partition, position
