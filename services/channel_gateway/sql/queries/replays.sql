-- Webhooks that are handed on again.

-- name: create_replay
INSERT INTO inbox_replay (team_id, replay_id, source, start_time, end_time, refused_only, reached, done_count, state,
                          created_at, updated_at)
VALUES (:team_id, :replay_id, :source, :start_time, :end_time, :refused_only, 0, 0, replay_state('RUNNING'), :now, :now)

-- name: count_running_replays
SELECT count(*) FROM inbox_replay WHERE team_id = :team_id AND state = replay_state('RUNNING')

-- name: get_replay
SELECT team_id, replay_id, source, start_time, end_time, refused_only, reached, done_count, state, created_at, updated_at
  FROM inbox_replay WHERE team_id = :team_id AND replay_id = :replay_id

-- name: list_replays
SELECT team_id, replay_id, source, start_time, end_time, refused_only, reached, done_count, state, created_at, updated_at
  FROM inbox_replay
 WHERE team_id = :team_id
   AND (:before_time::timestamptz IS NULL OR (created_at, replay_id) < (:before_time, :before_id::uuid))
 ORDER BY created_at DESC, replay_id DESC LIMIT :most

-- name: hold_running_replay
-- The oldest of a team, unless another process has it in hand.
SELECT team_id, replay_id, source, start_time, end_time, refused_only, reached, done_count, state, created_at, updated_at
  FROM inbox_replay WHERE team_id = :team_id AND state = replay_state('RUNNING')
 ORDER BY created_at, replay_id LIMIT 1 FOR UPDATE SKIP LOCKED

-- name: restore_webhooks
-- The next ones of a replay, in order of receipt.
UPDATE webhook_inbox SET state = inbox_state('STORED')
 WHERE sequence IN (
    SELECT sequence FROM webhook_inbox
     WHERE team_id = :team_id AND body <> '' AND sequence > :reached AND received_at >= :start_time AND received_at < :end_time
       AND (:source::smallint = 0 OR source = :source)
       AND state <> inbox_state('STORED') AND (NOT :refused_only OR state = inbox_state('REFUSED'))
     ORDER BY sequence LIMIT :most)
RETURNING sequence

-- name: drop_refusals_of
DELETE FROM inbox_refusal WHERE team_id = :team_id AND sequence = ANY (:sequences::bigint[])

-- name: move_replay
UPDATE inbox_replay SET reached = :reached, done_count = :done_count, state = :state, updated_at = :now
 WHERE team_id = :team_id AND replay_id = :replay_id

-- name: cancel_replay
UPDATE inbox_replay SET state = replay_state('CANCELLED'), updated_at = :now
 WHERE team_id = :team_id AND replay_id = :replay_id AND state = replay_state('RUNNING')

-- name: replaying_teams
SELECT team_id FROM replaying_teams(:most) AS team_id
