-- The schema must be ours before anything is made in it.
SELECT amelia_internal.check_schema('amelia_platform');
