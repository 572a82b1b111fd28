# Every recipe longer than a line is a script in scripts/, which can be run by itself.

.PHONY: help demo test torture crowds lint install bench estimates simulate success lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' Makefile

demo: ## play a user's day with real processes; needs no account
	@scripts/demo

test: ## lint, then every test; needs npm and tmux
	@scripts/test

torture: ## kills, power cuts, full disks and races, for long; the whole of it as root
	@scripts/dev-env && .venv/bin/python torture/everything.py

crowds: ## forty tasks at once, a busy machine, and tasks that take more memory than there is
	@scripts/dev-env && .venv/bin/python torture/everything.py crowd busy hungry cgroup

lint: ## ruff and mypy
	@scripts/lint

install: ## put sa-spool on your PATH and the plugin into Claude Code
	@scripts/install

bench: ## measure, as ratios in one run
	@scripts/dev-env && .venv/bin/python benchmarks/run.py

estimates: ## how often the ranges of `status` hold, on generated and recorded histories
	@scripts/dev-env && .venv/bin/python benchmarks/estimates.py

simulate: ## the real scheduler over a simulated machine, beside other policies, in a minute
	@scripts/dev-env && .venv/bin/python -m benchmarks.simulator

success: ## the mission's success metrics from a real run, in a few minutes, and the simulator beside it
	@scripts/dev-env && .venv/bin/python benchmarks/success.py

lock: ## pin the newest versions of all packages
	@scripts/lock

clean: ## remove what the other targets made in this directory
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
