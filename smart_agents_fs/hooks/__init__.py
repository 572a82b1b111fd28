"""What the hook executables of the plugin call: standard library, `spool`, `settings` and `starter` alone."""
