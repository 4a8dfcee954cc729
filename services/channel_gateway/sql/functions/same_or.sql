-- A row's value of a column that may have come as one value.
-- Without a SET of its own, so that the planner puts its body in the place of a call.
CREATE OR REPLACE FUNCTION same_or(given anyarray, value anyelement) RETURNS anyelement
LANGUAGE sql IMMUTABLE
AS $$ SELECT CASE WHEN cardinality(given) = 1 THEN given[1] ELSE value END $$;
