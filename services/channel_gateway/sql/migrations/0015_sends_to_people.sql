-- Messenger and Instagram tell of messages by the person they went to, and name no send. Of the other channels nothing is in it. Its columns
-- and its condition change with no outcome, so that a send is still changed in its place.
CREATE INDEX delivery_to_person ON delivery (team_id, account_id, recipient, created_at) WHERE channel IN (3, 4);
