"""Claims that several experiments share, by what they are about."""
