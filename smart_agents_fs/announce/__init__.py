"""Telling a notice outside of Claude Code: the desktop, a program of the user's, a web address.

Run as `sa-spool announce`, a process for each notice, with the notice on its stdin. Standard library alone.
"""
