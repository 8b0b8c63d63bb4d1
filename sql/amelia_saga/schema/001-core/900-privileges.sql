-- Messages hold secrets.
SELECT amelia_internal.revoke_defaults('amelia_saga');
