"""How far a task is: what its agent reports, and what the usual tools print, read and made one.

Each module is pure: bytes in, values out; no clock, no file. Standard library alone: the runner imports it.
"""
