-- Whom a usual event is about may be said by a hint: `by_…` is what has led to the customer, and has to lead there still.
ALTER TYPE usual_event ADD ATTRIBUTE by_member_id text, ADD ATTRIBUTE by_phone text, ADD ATTRIBUTE by_email text;

-- One of the three; texts are folded, but for the phone.
CREATE TYPE customer_hint AS (team_id uuid, member_id text, phone text, email text);
