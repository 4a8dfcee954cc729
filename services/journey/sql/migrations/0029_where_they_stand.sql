-- Where a customer stands and when they go on, beside what they wait for: counted and listed from the index alone (ADR 51). The columns of
-- rows that are there are empty until their next commit, or until somebody asks: `actor_unplaced` finds them.
ALTER TABLE actor ADD COLUMN live_node text COLLATE "C", ADD COLUMN live_wake_at timestamptz;
ALTER TABLE actor ADD CONSTRAINT actor_live_wake_readable
    CHECK (live_wake_at >= '0001-01-02 00:00+00' AND live_wake_at < '9999-12-31 00:00+00') NOT VALID;
SELECT platform.sample_lightly('actor');
ALTER TYPE packed_actor_row ADD ATTRIBUTE live_node text, ADD ATTRIBUTE live_wake_at timestamptz;
-- Without the id, which would be told apart for each: those of one moment who stand at one node share an entry.
DROP INDEX actor_live_by_journey;
CREATE INDEX actor_live_by_journey ON actor (team_id, live_journey_id, live_since DESC, live_node, live_wait, live_wake_at)
 WHERE live_journey_id IS NOT NULL;
CREATE INDEX actor_unplaced ON actor (team_id, live_journey_id) WHERE live_journey_id IS NOT NULL AND live_node IS NULL;
-- Those inside that have a row (state LIVE), further live enrolments of customers who have several: the same of them.
DROP INDEX enrolment_live;
DROP INDEX enrolment_resting;
CREATE INDEX enrolment_live ON enrolment (team_id, journey_id, created_at DESC, node_id COLLATE "C", rest, wake_at) WHERE state = 1;
