-- Facts behind the place up to which their team's history was emptied, or texts of messages were taken out of it, that are still to be:
-- recorded since with an older time, or then not yet taken by the actor of their customer. `text_only`: behind the place of texts.
CREATE TABLE overdue_fact (
    team_id   uuid NOT NULL,
    text_only boolean NOT NULL,
    partition smallint NOT NULL,
    position  bigint NOT NULL,
    PRIMARY KEY (team_id, text_only, partition, position)
);
SELECT platform.hold_teams_apart('overdue_fact');

-- Up to where facts were looked at for that, as they are recorded, by partition.
CREATE TABLE overdue_cursor (
    partition smallint PRIMARY KEY CHECK (partition BETWEEN 0 AND 63),
    position  bigint NOT NULL CHECK (position >= 0)
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
INSERT INTO overdue_cursor (partition, position)
SELECT p.partition, COALESCE(h.position, 0)
  FROM generate_series(0, 63) AS p (partition) LEFT JOIN history_head AS h ON h.partition = p.partition;

-- What was recorded behind a place before now was passed over: every team begins once more. What is empty stays as it is.
DELETE FROM fact_pruning;
DELETE FROM text_pruning;
