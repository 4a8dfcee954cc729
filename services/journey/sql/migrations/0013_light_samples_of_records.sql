-- Records, and the columns that tables got since their samples were made small.
SELECT platform.sample_lightly('actor');
SELECT platform.sample_lightly('enrolment');
SELECT platform.sample_lightly('history_record');
