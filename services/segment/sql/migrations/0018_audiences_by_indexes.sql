-- Audiences look for values by indexes that hold all that is asked of them (ADR 60). Numbers are compared as numbers, everything
-- else as folded text; a text of more than 200 bytes is found by its key alone, since an index has no room for the longest.
CREATE INDEX customer_attribute_number ON customer_attribute (team_id, key, number_value, customer_id) WHERE type = 2;
CREATE INDEX customer_attribute_text ON customer_attribute (team_id, key, type, value_folded COLLATE "C", customer_id)
 WHERE type <> 2 AND octet_length(value_folded) <= 200;
CREATE INDEX customer_attribute_long_text ON customer_attribute (team_id, key, type, customer_id)
 WHERE octet_length(value_folded) > 200;

-- Points as audiences count them: what the history of the ledger adds up to. No row: none. `known`: there is such a customer.
CREATE TABLE customer_points (
    team_id     uuid NOT NULL,
    customer_id uuid NOT NULL,
    balance     bigint NOT NULL,
    cumulative  bigint NOT NULL,
    known       boolean NOT NULL,
    PRIMARY KEY (team_id, customer_id)
) WITH (fillfactor = 80);
CREATE INDEX customer_points_of_nobody ON customer_points (team_id, customer_id) WHERE NOT known;
SELECT platform.hold_teams_apart('customer_points');

-- The position of each partition of that history up to which it is added up.
CREATE TABLE points_cursor (
    partition smallint PRIMARY KEY CHECK (partition BETWEEN 0 AND 63),
    position  bigint NOT NULL DEFAULT 0 CHECK (position >= 0)
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
INSERT INTO points_cursor (partition) SELECT generate_series(0, 63);

-- Rows of it that could not be added.
CREATE TABLE points_row_set_aside (
    partition    smallint NOT NULL,
    position     bigint NOT NULL,
    reason       text NOT NULL,
    set_aside_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (partition, position)
);

CREATE TYPE points_change AS (
    team_id     uuid,
    customer_id uuid,
    balance     bigint,
    cumulative  bigint
);

-- What searches over all customers of a team reads: rows of the one team that the transaction is bound to. The team is looked at once a
-- statement, not in each row, and whatever else is asked may be an index's condition, which the policy of the tables allows to few
-- operators only. Nothing is written through them.
CREATE VIEW team_customer AS
SELECT team_id, customer_id, member_id_folded, phone, email_folded, customer_interact_time, team_interact_time, marketed_time,
       checkout_time
  FROM customer
 WHERE team_id = (SELECT (platform.teams())[1] WHERE cardinality(platform.teams()) = 1)
  WITH CHECK OPTION;

CREATE VIEW team_tag AS
SELECT team_id, customer_id, tag_folded FROM customer_tag
 WHERE team_id = (SELECT (platform.teams())[1] WHERE cardinality(platform.teams()) = 1)
  WITH CHECK OPTION;

CREATE VIEW team_attribute AS
SELECT team_id, customer_id, key, type, value_folded, number_value FROM customer_attribute
 WHERE team_id = (SELECT (platform.teams())[1] WHERE cardinality(platform.teams()) = 1)
  WITH CHECK OPTION;

CREATE VIEW team_identity AS
SELECT team_id, customer_id, channel, account_id FROM identity
 WHERE team_id = (SELECT (platform.teams())[1] WHERE cardinality(platform.teams()) = 1)
  WITH CHECK OPTION;

CREATE VIEW team_points AS
SELECT team_id, customer_id, balance, cumulative FROM customer_points
 WHERE known AND team_id = (SELECT (platform.teams())[1] WHERE cardinality(platform.teams()) = 1)
  WITH CHECK OPTION;
