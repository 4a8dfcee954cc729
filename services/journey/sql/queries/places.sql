-- Places that plans have for enrolments.

-- name: take_plan_places
SELECT enrolment_id FROM take_plan_places(:places::place_row[]) AS enrolment_id;
