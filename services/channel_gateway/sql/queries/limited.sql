-- name: note_limited
-- In the order of keys, each once; what was noted later stays.
INSERT INTO limited_person AS l (team_id, channel, external_id, noted_at)
SELECT :team_id, * FROM unnest(:channels::smallint[], :external_ids::text[], :times::timestamptz[])
ON CONFLICT (team_id, channel, external_id) DO UPDATE SET noted_at = EXCLUDED.noted_at WHERE l.noted_at < EXCLUDED.noted_at

-- name: find_limited
-- Sends of marketing templates to people who were limited since a time.
SELECT w.team_id, w.channel, w.external_id, w.template_id
  FROM unnest(:teams::uuid[], :channels::smallint[], :external_ids::text[], :template_ids::uuid[])
    AS w (team_id, channel, external_id, template_id)
 WHERE EXISTS (
        SELECT FROM limited_person AS l
         WHERE (l.team_id, l.channel, l.external_id) = (w.team_id, w.channel, w.external_id) AND l.noted_at > :since OFFSET 0)
   AND EXISTS (
        SELECT FROM template AS t
         WHERE (t.team_id, t.template_id) = (w.team_id, w.template_id) AND t.category = 'MARKETING' OFFSET 0)

-- name: forget_limits
SELECT forget_limits(:noted_before, :row_max)
