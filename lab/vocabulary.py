"""Constants that rooms on several floors share: the lab's port, and what undoes which fault."""

PORT = 1234  # that the lab's programs meet at

REPAIRS = {
    "pause": "resume",
    "cut_power": "power_on",
    "shut_down": "power_on",
    "cut_cable": "mend_cable",
}
