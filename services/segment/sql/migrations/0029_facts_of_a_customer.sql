-- A customer's facts are found without passing by those of the whole team: those that are mail by `fact_mail`, the few others by this.
CREATE INDEX fact_unmailed ON fact (team_id, customer_id) WHERE mail_number IS NULL AND customer_id IS NOT NULL;

-- Member ids and addresses are spelled without any marks that nobody sees, and so are those that led to customers who were merged: all
-- are looked at once more.
INSERT INTO spelling_search (reached_team_id, reached_customer_id, passes_left, due_at)
VALUES ('00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000000', 2, clock_timestamp())
ON CONFLICT (only_row) DO UPDATE
   SET reached_team_id = excluded.reached_team_id, reached_customer_id = excluded.reached_customer_id,
       passes_left = excluded.passes_left, due_at = excluded.due_at;
