-- A batch of turns as one statement: leases, journeys, then everything that was decided. For the rest of the arguments see
-- `write_turns`. Raises what `hold_leases` and `hold_journeys` raise.
CREATE OR REPLACE FUNCTION commit_turns(
    teams uuid[], partitions smallint[], epochs bigint[], journeys uuid[], versions bigint[],
    now timestamptz,
    a_partition smallint[], a_team uuid[], a_customer uuid[], a_segment bigint[], a_gateway bigint[], a_journey bigint[],
    a_entries bytea[], a_wake timestamptz[], a_sending boolean[],
    e_actor integer[], e_id uuid[], e_journey uuid[], e_event uuid[], e_created timestamptz[], e_wake timestamptz[],
    e_depth smallint[], e_state smallint[], e_rest smallint[], e_visit smallint[], e_node text[], v_team uuid[], v_enrolment uuid[], v_key uuid[],
    f_partition smallint[], f_team uuid[], f_journey uuid[], f_customer uuid[], f_enrolment uuid[], f_at timestamptz[],
    f_kind smallint[], f_body bytea[]
) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
BEGIN
    PERFORM platform.bind(teams);
    PERFORM hold_leases(partitions, epochs);
    IF cardinality(journeys) > 0 THEN
        PERFORM hold_journeys(journeys, versions, false);
    END IF;
    PERFORM write_turns(now, a_partition, a_team, a_customer, a_segment, a_gateway, a_journey, a_entries, a_wake, a_sending,
                        e_actor, e_id, e_journey, e_event, e_created, e_wake, e_depth, e_state, e_rest, e_visit, e_node,
                        v_team, v_enrolment, v_key, f_partition, f_team, f_journey, f_customer, f_enrolment, f_at, f_kind, f_body);
END
$$;
