"""Ways of getting machines, one module or package each."""
