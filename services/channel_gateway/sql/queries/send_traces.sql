-- name: keep_send_traces
-- A send that is asked for again belongs to the trace of then.
INSERT INTO send_trace (team_id, effect_key, trace_context, noted_at)
SELECT k.team_id, k.effect_key, k.trace_context, :now
  FROM unnest(:teams::uuid[], :effect_keys::uuid[], :contexts::bytea[]) AS k (team_id, effect_key, trace_context)
ON CONFLICT (team_id, effect_key) DO UPDATE SET trace_context = excluded.trace_context, noted_at = excluded.noted_at

-- name: find_send_traces
SELECT s.team_id, s.effect_key, s.trace_context
  FROM unnest(:teams::uuid[], :effect_keys::uuid[]) AS k (team_id, effect_key)
  JOIN send_trace AS s USING (team_id, effect_key)

-- name: forget_send_traces
SELECT forget_send_traces(:noted_before, :row_max)
