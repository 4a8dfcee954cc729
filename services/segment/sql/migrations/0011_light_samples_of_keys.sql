-- The columns that facts got since their samples were made small.
SELECT platform.sample_lightly('fact');
