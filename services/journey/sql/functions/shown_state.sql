-- The state of an enrolment as it is shown: a live one of a parked customer is PARKED.
CREATE OR REPLACE FUNCTION shown_state(stored integer, partition smallint, team uuid, customer uuid) RETURNS integer
LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $$
    SELECT CASE WHEN stored = enrolment_state('LIVE') AND EXISTS (
                SELECT FROM parked_customer AS k
                 WHERE k.partition = shown_state.partition AND k.team_id = team AND k.customer_id = customer)
           THEN enrolment_state('PARKED') ELSE stored END
$$;
