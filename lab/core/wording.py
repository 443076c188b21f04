"""Numbers and names in sentences."""

from collections.abc import Sequence


def counted(number: int, noun: str) -> str:
    """Return a number of things: `1 message`, `2,000 messages`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def joined(words: Sequence[str]) -> str:
    """Return `a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def listed(numbers: Sequence[int]) -> str:
    """Return messages' numbers as words: `message 7`, `messages 1, 3 and 5 to 9`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    parts = [part for run in runs for part in ([run] if len(run) > 2 else [[n] for n in run])]
    texts = [f"{part[0]} to {part[-1]}" if len(part) > 1 else f"{part[0]}" for part in parts]
    if len(texts) > 8:
        texts = [*texts[:7], f"{sum(map(len, parts[7:])):,} more"]
    return f"message{'' if len(numbers) == 1 else 's'} {joined(texts)}"


def sentence(text: str) -> str:
    """Return a text with a capital letter and a full stop."""
    return f"{text[:1].upper()}{text[1:]}."
