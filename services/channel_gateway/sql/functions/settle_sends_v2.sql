-- Records outcomes of sends: settles them, gives places back, numbers the mail, appends the records. All of them must be unsettled
-- and `own`, or nothing stays. OJ104: some are not.
CREATE OR REPLACE FUNCTION settle_sends_v2(
    bound uuid[], own uuid, domain_now timestamptz, outcomes outcome_row[], records record_row[],
    OUT positions bigint[], OUT numbers bigint[]
)
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
    PERFORM platform.bind(bound);
    IF EXISTS (SELECT FROM unnest(outcomes) AS o WHERE o.gives_back) THEN
        PERFORM give_back_unused(own, domain_now, outcomes);
    END IF;
    IF settle_rows(own, domain_now, outcomes) < (SELECT sum(cardinality(o.effect_keys)) FROM unnest(outcomes) AS o) THEN
        RAISE EXCEPTION 'a send is settled, or not ours' USING ERRCODE = 'OJ104';
    END IF;
    SELECT a.positions, a.numbers INTO positions, numbers FROM append_records(records) AS a;
END
$$;
