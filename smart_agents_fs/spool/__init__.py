"""The spool on disk, format 1. Standard library alone; hooks and `submit` import it in a few milliseconds.

That is why the modules on their path (`layout ids jsonio fields store starter sessions notices`) import no
`typing`, `dataclasses`, `pathlib`, `re` or `enum` at the top: each costs as much as the rest together.
"""
