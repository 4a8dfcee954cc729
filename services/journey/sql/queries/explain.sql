-- What is kept so that it can be told why a customer entered a journey, or why not.

-- name: status_changes
SELECT changed_at, before, after, reason FROM status_change
 WHERE team_id = :team_id AND journey_id = :journey_id ORDER BY version;

-- name: definition_of_instant
SELECT definition FROM journey_revision
 WHERE team_id = :team_id AND journey_id = :journey_id AND created_at <= :at ORDER BY revision DESC LIMIT 1;

-- name: note_dropped_mail
INSERT INTO dropped_mail (team_id, customer_id, source, through_number, after_number, at)
SELECT :team_id, :customer_id, d.source, d.through_number, d.after_number, :now
  FROM unnest(:sources::smallint[], :through_numbers::integer[], :after_numbers::integer[]) AS d (source, through_number, after_number);

-- name: dropped_mail_of_customer
SELECT source, after_number, through_number, at FROM dropped_mail WHERE team_id = :team_id AND customer_id = :customer_id;

-- name: note_live_refusals
INSERT INTO live_refusal (team_id, customer_id, source, number, journey_id)
SELECT * FROM unnest(:rows::live_refusal[]) ON CONFLICT DO NOTHING;

-- name: drop_old_live_refusals
-- Of each customer, journey and source of these, all but the newest `kept`.
DELETE FROM live_refusal AS r
 USING (SELECT DISTINCT team_id, customer_id, journey_id, source FROM unnest(:rows::live_refusal[])) AS k
 WHERE r.team_id = k.team_id AND r.customer_id = k.customer_id AND r.journey_id = k.journey_id AND r.source = k.source
   AND r.number <= (
        SELECT o.number FROM live_refusal AS o
         WHERE o.team_id = k.team_id AND o.customer_id = k.customer_id AND o.journey_id = k.journey_id AND o.source = k.source
         ORDER BY o.number DESC OFFSET :kept LIMIT 1);

-- name: live_refusals_of_customer
SELECT source, number FROM live_refusal WHERE team_id = :team_id AND customer_id = :customer_id AND journey_id = :journey_id;

-- name: enrolments_by_id
-- Those of these enrolments of a customer that there are.
SELECT e.team_id, e.customer_id, e.enrolment_id, e.journey_id, e.created_at, e.trigger_event_id, e.depth, e.updated_at,
       shown_state(e.state, e.partition, e.team_id, e.customer_id) AS state, e.node_id, e.visit, e.rest, e.wake_at, e.commit_keys,
       NULL::bytea AS packed
  FROM enrolment AS e
 WHERE e.partition = :partition AND e.team_id = :team_id AND e.customer_id = :customer_id AND e.enrolment_id = ANY (:enrolment_ids::uuid[])
UNION ALL
SELECT a.team_id, a.customer_id, a.live_enrolment_id, a.live_journey_id, a.live_since, NULL, NULL, NULL,
       shown_state(enrolment_state('LIVE'), a.partition, a.team_id, a.customer_id), NULL, NULL, NULL, NULL, NULL, a.state
  FROM actor AS a
 WHERE a.partition = :partition AND a.team_id = :team_id AND a.customer_id = :customer_id
   AND a.live_enrolment_id = ANY (:enrolment_ids::uuid[]);

-- name: count_entries
-- How often a customer has entered a journey.
SELECT (SELECT count(*) FROM enrolment AS e
         WHERE e.partition = :partition AND e.team_id = :team_id AND e.customer_id = :customer_id AND e.journey_id = :journey_id)
     + (SELECT count(*) FROM actor AS a
         WHERE a.partition = :partition AND a.team_id = :team_id AND a.customer_id = :customer_id AND a.live_journey_id = :journey_id);
