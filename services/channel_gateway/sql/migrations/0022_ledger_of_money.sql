-- The currency of a change by people; null: the wallet's, as it is now.
ALTER TABLE wallet_entry ADD COLUMN currency text CHECK (length(currency) = 3);

-- Prepaid sends of which their channel told, after it had taken them, that they failed. They are given back when they are settled.
CREATE TABLE refund_due (
    team_id    uuid NOT NULL,
    effect_key uuid NOT NULL,
    told_at    timestamptz NOT NULL,
    PRIMARY KEY (team_id, effect_key)
);
SELECT platform.hold_teams_apart('refund_due');

-- What was given back of them. Append only, once a send.
CREATE TABLE message_refund (
    team_id     uuid NOT NULL,
    effect_key  uuid NOT NULL,
    journey_id  uuid NOT NULL,
    channel     smallint NOT NULL CHECK (channel BETWEEN 1 AND 4),
    messages    integer NOT NULL CHECK (messages > 0),
    micros      bigint NOT NULL CHECK (micros > 0),
    currency    text NOT NULL CHECK (length(currency) = 3),
    refunded_at timestamptz NOT NULL,
    PRIMARY KEY (team_id, effect_key)
);
CREATE INDEX message_refund_by_time ON message_refund (team_id, refunded_at, effect_key);
SELECT platform.hold_teams_apart('message_refund');

-- Below which balance a team is warned; null: never. `fired`: it was warned, and the balance has not been above since.
CREATE TABLE balance_alert (
    team_id          uuid PRIMARY KEY,
    threshold_micros bigint CHECK (threshold_micros > 0),
    currency         text NOT NULL CHECK (length(currency) = 3),
    fired            boolean NOT NULL DEFAULT false,
    version          bigint NOT NULL DEFAULT 1,
    updated_at       timestamptz NOT NULL
);
SELECT platform.hold_teams_apart('balance_alert');
