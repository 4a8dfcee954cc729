-- Places that plans have for enrolments.

-- name: take_plan_places
SELECT enrolment_id FROM take_plan_places(:places::place_row[]) AS enrolment_id;

-- name: lapse_plan_months
-- Months of which not all enrolments have places. Those that are over are few, and are not asked for again.
UPDATE plan_month SET lapsed = true WHERE team_id = ANY(:team_ids::uuid[]) AND NOT lapsed;
