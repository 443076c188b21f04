"""What a user sees of a run: the live view, the verdicts, and the words for both."""
