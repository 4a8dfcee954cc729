-- Webhooks that go out.

-- name: create_subscription
INSERT INTO webhook_subscription (team_id, subscription_id, url, event_types, state, sealed, created_at, updated_at)
VALUES (:team_id, :subscription_id, :url, :event_types, :state, :sealed, :now, :now)

-- name: count_subscriptions
SELECT count(*) FROM webhook_subscription WHERE team_id = :team_id

-- name: get_subscription
SELECT team_id, subscription_id, url, event_types, state, sealed, created_at, updated_at, version
  FROM webhook_subscription WHERE team_id = :team_id AND subscription_id = :subscription_id

-- name: hold_subscription
SELECT team_id, subscription_id, url, event_types, state, sealed, created_at, updated_at, version
  FROM webhook_subscription WHERE team_id = :team_id AND subscription_id = :subscription_id FOR UPDATE

-- name: list_subscriptions
SELECT team_id, subscription_id, url, event_types, state, sealed, created_at, updated_at, version
  FROM webhook_subscription
 WHERE team_id = :team_id
   AND (:after_time::timestamptz IS NULL OR (created_at, subscription_id) > (:after_time, :after_id::uuid))
 ORDER BY created_at, subscription_id LIMIT :most

-- name: update_subscription
-- Called anew, the address has a clean slate.
UPDATE webhook_subscription
   SET url = :url, event_types = :event_types, state = :state, sealed = :sealed, updated_at = :now, version = version + 1,
       failures = 0, closed_until = NULL
 WHERE team_id = :team_id AND subscription_id = :subscription_id
RETURNING version

-- name: wait_again
-- What waits for a subscription waits from now on, for so many hours.
UPDATE outgoing_webhook
   SET next_at = clock_timestamp(), give_up_at = clock_timestamp() + make_interval(hours => :hours), attempts = 0
 WHERE team_id = :team_id AND subscription_id = :subscription_id AND dead_at IS NULL

-- name: delete_subscription
DELETE FROM webhook_subscription WHERE team_id = :team_id AND subscription_id = :subscription_id RETURNING true

-- name: delete_webhooks
DELETE FROM outgoing_webhook WHERE team_id = :team_id AND subscription_id = :subscription_id

-- name: delete_attempts
DELETE FROM webhook_attempt WHERE team_id = :team_id AND subscription_id = :subscription_id

-- name: list_dead_letters
SELECT webhook_id, subscription_id, event_type, body, attempts, last_error, occurred_at, dead_at
  FROM outgoing_webhook
 WHERE team_id = :team_id AND dead_at IS NOT NULL
   AND (:subscription_id::uuid IS NULL OR subscription_id = :subscription_id)
   AND (:before_time::timestamptz IS NULL OR (dead_at, webhook_id) < (:before_time, :before_id::uuid))
 ORDER BY dead_at DESC, webhook_id DESC LIMIT :most

-- name: replay_dead_letters
-- The oldest ones first.
UPDATE outgoing_webhook
   SET dead_at = NULL, attempts = 0, next_at = clock_timestamp(), give_up_at = clock_timestamp() + make_interval(hours => :hours)
 WHERE team_id = :team_id AND subscription_id = :subscription_id AND webhook_id IN (
    SELECT webhook_id FROM outgoing_webhook
     WHERE team_id = :team_id AND subscription_id = :subscription_id AND dead_at IS NOT NULL
       AND (cardinality(:webhook_ids::uuid[]) = 0 OR webhook_id = ANY (:webhook_ids::uuid[]))
     ORDER BY dead_at, webhook_id LIMIT :most)

-- name: delete_dead_letters
-- The oldest ones first.
DELETE FROM outgoing_webhook
 WHERE team_id = :team_id AND subscription_id = :subscription_id AND webhook_id IN (
    SELECT webhook_id FROM outgoing_webhook
     WHERE team_id = :team_id AND subscription_id = :subscription_id AND dead_at IS NOT NULL
       AND (cardinality(:webhook_ids::uuid[]) = 0 OR webhook_id = ANY (:webhook_ids::uuid[]))
     ORDER BY dead_at, webhook_id LIMIT :most)

-- name: contact_cursors
SELECT partition, position FROM contact_cursor

-- name: take_contact_events
SELECT take_contact_events(:steps::contact_step[], :events::contact_event_row[], :active_hours, :paused_hours)

-- name: set_contact_row_aside
INSERT INTO contact_row_set_aside (partition, position, reason) VALUES (:partition, :position, :reason) ON CONFLICT DO NOTHING

-- name: due_subscriptions
SELECT team_id, subscription_id FROM due_subscriptions(:most)

-- name: claim_webhooks
SELECT webhook_id, event_type, body, attempts FROM claim_webhooks(:team_id, :subscription_id, :lease_s, :most)

-- name: webhook_taken
DELETE FROM outgoing_webhook WHERE team_id = :team_id AND subscription_id = :subscription_id AND webhook_id = :webhook_id

-- name: webhook_failed
-- Tried again after `wait_s`, or given up where that is null, or its time is over.
UPDATE outgoing_webhook
   SET attempts = :attempts, last_error = :error, next_at = clock_timestamp() + make_interval(secs => COALESCE(:wait_s, 0)),
       dead_at = CASE WHEN :wait_s::double precision IS NULL OR clock_timestamp() >= give_up_at THEN clock_timestamp() END
 WHERE team_id = :team_id AND subscription_id = :subscription_id AND webhook_id = :webhook_id AND dead_at IS NULL

-- name: webhook_put_back
-- Not tried: the address is not called for now.
UPDATE outgoing_webhook SET next_at = clock_timestamp()
 WHERE team_id = :team_id AND subscription_id = :subscription_id AND webhook_id = ANY (:webhook_ids::uuid[]) AND dead_at IS NULL

-- name: note_webhook_attempt
-- Of a subscription that is there, which is held: it is changed or deleted before what follows in the transaction, or after it.
INSERT INTO webhook_attempt (team_id, subscription_id, attempt_id, webhook_id, event_type, attempt, status_code, reason,
                             duration_ms, attempted_at)
SELECT :team_id, subscription_id, :attempt_id, :webhook_id, :event_type, :attempt, :status_code, :reason, :duration_ms,
       clock_timestamp()
  FROM webhook_subscription WHERE team_id = :team_id AND subscription_id = :subscription_id FOR KEY SHARE

-- name: address_answered
UPDATE webhook_subscription SET failures = 0, closed_until = NULL WHERE team_id = :team_id AND subscription_id = :subscription_id AND failures > 0

-- name: address_failed
-- From `failures_max` failures in a row on it is not called for a while, twice as long each time.
UPDATE webhook_subscription
   SET failures = LEAST(failures + 1, 1000),
       closed_until = CASE WHEN failures + 1 >= :failures_max
                        THEN clock_timestamp() + make_interval(
                            secs => LEAST(:first_s * power(2, LEAST(failures + 1 - :failures_max, 20)), :most_s))
                        ELSE closed_until END
 WHERE team_id = :team_id AND subscription_id = :subscription_id

-- name: address_gone
UPDATE webhook_subscription SET state = subscription_state('GONE'), version = version + 1 WHERE team_id = :team_id AND subscription_id = :subscription_id

-- name: waits_for_days
UPDATE outgoing_webhook SET give_up_at = clock_timestamp() + make_interval(hours => :hours)
 WHERE team_id = :team_id AND subscription_id = :subscription_id AND dead_at IS NULL

-- name: list_attempts
SELECT attempt_id, webhook_id, event_type, attempt, status_code, reason, duration_ms, attempted_at
  FROM webhook_attempt
 WHERE team_id = :team_id AND subscription_id = :subscription_id AND (:before_id::uuid IS NULL OR attempt_id < :before_id)
 ORDER BY attempt_id DESC LIMIT :most

-- name: reseal_subscription
UPDATE webhook_subscription SET sealed = :sealed WHERE team_id = :team_id AND subscription_id = :subscription_id
