-- What is read of one team, subscription or replay is found without reading what is of others, or of the team in all.

-- Worked webhooks of a team, for those that are worked once more.
CREATE INDEX webhook_inbox_worked ON webhook_inbox (team_id, sequence) WHERE state <> 1;

-- Given-up webhooks of a subscription.
CREATE INDEX outgoing_webhook_dead_of ON outgoing_webhook (team_id, subscription_id, dead_at, webhook_id) WHERE dead_at IS NOT NULL;

-- Presses that may be tried, team by team.
CREATE INDEX coupon_press_due_of ON coupon_press (team_id, try_at) WHERE try_at IS NOT NULL;

-- What is not settled, of one team: the prepaid money that is reserved. The index by stint alone goes with it.
CREATE INDEX delivery_of_stint_and_team ON delivery (stint_id, team_id) WHERE stint_id IS NOT NULL;
DROP INDEX delivery_of_stint;
ALTER INDEX delivery_of_stint_and_team RENAME TO delivery_of_stint;

-- Links by the age of their messages, for those that are forgotten.
CREATE INDEX tracked_link_sent ON tracked_link (sent_at);
