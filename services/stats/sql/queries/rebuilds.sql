-- Figures that are counted anew.

-- name: insert_rebuild
INSERT INTO rebuild (team_id, rebuild_id, created_at) VALUES (:team_id, :rebuild_id, :created_at);

-- name: count_unfinished_rebuilds
-- Of any team; until the transaction ends none begins.
SELECT count_unfinished_rebuilds();

-- name: forget_rebuilds
-- Those that have ended, but for the newest `kept`.
DELETE FROM rebuild
 WHERE team_id = :team_id AND ended_at IS NOT NULL AND rebuild_id NOT IN (
    SELECT rebuild_id FROM rebuild WHERE team_id = :team_id ORDER BY created_at DESC, rebuild_id DESC LIMIT :kept);

-- name: read_rebuild
SELECT team_id, rebuild_id, state, done, total, tries, reason, message, created_at, ended_at
  FROM rebuild WHERE team_id = :team_id AND rebuild_id = :rebuild_id;

-- name: lock_rebuild
SELECT team_id, rebuild_id, state, done, total, tries, reason, message, created_at, ended_at
  FROM rebuild WHERE team_id = :team_id AND rebuild_id = :rebuild_id FOR UPDATE;

-- name: list_rebuilds
SELECT team_id, rebuild_id, state, done, total, tries, reason, message, created_at, ended_at
  FROM rebuild
 WHERE team_id = :team_id
   AND (:after_created_at::timestamptz IS NULL OR (created_at, rebuild_id) < (:after_created_at, :after_rebuild_id::uuid))
 ORDER BY created_at DESC, rebuild_id DESC LIMIT :row_max;

-- name: claim_rebuild
SELECT team_id, rebuild_id FROM claim_rebuild(:own, :claim_s);

-- name: note_rebuilt
-- Whether it is still the claim's.
UPDATE rebuild
   SET done = done + :rows, claimed_until = clock_timestamp() + make_interval(secs => :claim_s)
 WHERE team_id = :team_id AND rebuild_id = :rebuild_id AND claim = :own AND state = operation_state('RUNNING')
RETURNING true;

-- name: leave_rebuild
-- Somebody else may go on with it after `pause_s`.
UPDATE rebuild
   SET claim = NULL, claimed_until = clock_timestamp() + make_interval(secs => :pause_s), tries = :tries
 WHERE team_id = :team_id AND rebuild_id = :rebuild_id AND claim = :own AND state = operation_state('RUNNING');

-- name: end_rebuild
UPDATE rebuild
   SET state = :state, reason = :reason, message = :message, ended_at = :ended_at, claim = NULL, claimed_until = NULL
 WHERE team_id = :team_id AND rebuild_id = :rebuild_id AND claim = :own AND state = operation_state('RUNNING')
RETURNING true;

-- name: cancel_rebuild
UPDATE rebuild SET state = operation_state('CANCELLED'), ended_at = :ended_at, claim = NULL, claimed_until = NULL
 WHERE team_id = :team_id AND rebuild_id = :rebuild_id;

-- name: begin_rebuild
-- Where it stands in each history: at the beginning, or where it stood. Sums of both cursors.
WITH begun AS (
    INSERT INTO rebuild_cursor (rebuild_id, source, partition) SELECT :rebuild_id, c.source, c.partition FROM cursor AS c
    ON CONFLICT DO NOTHING
)
UPDATE rebuild SET total = GREATEST(total, (SELECT COALESCE(sum(c.position), 0) FROM cursor AS c))
 WHERE team_id = :team_id AND rebuild_id = :rebuild_id;

-- name: rebuild_cursors
-- Of a history: where the rebuild stands, and where the figures that are shown do.
SELECT c.partition, COALESCE(r.position, 0) AS own, c.position AS shown
  FROM cursor AS c LEFT JOIN rebuild_cursor AS r ON r.rebuild_id = :rebuild_id AND r.source = c.source AND r.partition = c.partition
 WHERE c.source = :source;

-- name: move_rebuild_cursors
-- How many moved: all that were where they are said to be.
WITH moved AS (
    INSERT INTO rebuild_cursor AS r (rebuild_id, source, partition, position)
    SELECT :rebuild_id, :source, step.partition, step.after FROM unnest(:steps::cursor_step[]) AS step
    ON CONFLICT (rebuild_id, source, partition) DO UPDATE SET position = EXCLUDED.position
     WHERE r.position = (SELECT step.before FROM unnest(:steps::cursor_step[]) AS step WHERE step.partition = r.partition)
    RETURNING 1
)
SELECT count(*) FROM moved;

-- name: keep_shadows
INSERT INTO rebuild_shadow (rebuild_id, own_id, shadow_id)
SELECT :rebuild_id, own.id, shadow.id
  FROM unnest(:owns::uuid[]) WITH ORDINALITY AS own (id, n) JOIN unnest(:shadows::uuid[]) WITH ORDINALITY AS shadow (id, n) USING (n)
ON CONFLICT DO NOTHING;

-- name: rows_aside_among
-- Of these rows of a history those that are not counted, and which of their facts; null: all.
SELECT a.partition, a.position, a.facts
  FROM row_set_aside AS a
  JOIN unnest(:partitions::smallint[], :positions::bigint[]) AS asked (partition, position) USING (partition, position)
 WHERE a.source = :source;

-- name: windows_of_orders
-- How long after a click the orders that were counted before are a journey's, as it was then.
SELECT s.team_id, s.order_key, s.click_window
  FROM shop_order AS s JOIN unnest(:teams::uuid[], :keys::uuid[]) AS asked (team_id, order_key) USING (team_id, order_key)
 WHERE s.ordered_at IS NOT NULL;

-- name: hold_cursors
-- Until the transaction ends nothing more is counted.
SELECT source, partition FROM cursor ORDER BY source, partition FOR UPDATE;

-- name: ended_rebuilds
SELECT ended_rebuilds() AS rebuild_id;

-- name: show_shadows
SELECT show_shadows(:rebuild_id);

-- name: drop_shadows
SELECT drop_shadows(:rebuild_id);
