"""The guard on heavy shell commands: what a command line would start, and the same line under our limits. Pure."""
