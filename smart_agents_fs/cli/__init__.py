"""The command `sa-spool`: one module per verb. Only `main.py` and what it imports knows click."""
