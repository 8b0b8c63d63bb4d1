-- No grantee but their owner, whatever defaults the installer has.
SELECT amelia_internal.revoke_defaults('amelia_platform');
