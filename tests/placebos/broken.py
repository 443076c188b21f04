"""Not even Python."""

def broken(:
