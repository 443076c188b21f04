"""Prints what would take a terminal over: its title, its colours, its screen, other lines."""

import os

os.write(1, b"\x1b]0;yours\x07\x1b[2J\x1b[31mred\x1b[8m hidden\n")
os.write(1, b"\rpull-9 | forged\x08\x08\x9b2J \xe2\x80\xae reversed\n")
os.write(1, b"[bold]markup[/bold] [link=http://x]\n")
os.write(2, b"\x1b[5mon stderr\n")
