-- Up to which stop epoch the gateway has acknowledged that no attempt of an older one can start. A journey that is stopping asks until
-- this is its own epoch, and is not over before.
ALTER TABLE journey ADD COLUMN braked_epoch bigint NOT NULL DEFAULT 0;
-- Those inside that have a row (state LIVE): a stop does not go through everybody who has ended.
CREATE INDEX enrolment_live ON enrolment (team_id, journey_id) WHERE state = 1;
