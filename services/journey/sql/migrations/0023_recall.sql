-- The stop epoch that was raised last for a change of do-not-disturb and not for a stop: sends of older ones are taken back, to be asked for
-- again, and nobody is halted.
ALTER TABLE journey ADD COLUMN recall_epoch bigint NOT NULL DEFAULT 0;
-- Those for which the gateway has to be asked: none, most of the time.
CREATE INDEX journey_unbraked ON journey (team_id, journey_id) WHERE stop_epoch > braked_epoch AND deleted_at IS NULL;
-- Lists of one status, however many there are of others.
CREATE INDEX journey_by_status ON journey (team_id, status, created_at DESC, journey_id DESC) WHERE deleted_at IS NULL;
