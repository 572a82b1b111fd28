"""The spool on disk, format 1. Standard library alone; hooks and `submit` import it in a few milliseconds.

That is why the modules on their path import no `typing`, `dataclasses`, `pathlib`, `re` or `enum` at the top: each
costs as much as the rest together. Only `task` and `words` do, for the engine and the Python API.
"""
