"""What runs: the supervisor, the runner, and what they need of the machine."""
