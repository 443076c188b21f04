"""Explains why a machine refuses a change of its network, by the answers of its tools."""

RIGHTS = "log in there as root, or let its user call sudo without a password: sudoers(5), NOPASSWD"

# Texts in the answers of various tools and versions; the cause; the hint.
_CAUSES = (
    (("password is required", "a terminal is required"), "sudo asks for a password", RIGHTS),
    (("sudo: No such file",), "its user isn't root, and there is no sudo", RIGHTS),
    (("nft: No such file", "nft: command not found"), "there is no nft", "install nftables there"),
    (("ip: No such file", "ip: command not found"), "there is no ip", "install iproute2 there"),
    (("tc: No such file", "tc: command not found"), "there is no tc", "install iproute2 there"),
    (
        ("qdisc kind is unknown", "RTNETLINK answers: No such file"),
        "its kernel lacks the queueing discipline",
        "take a kernel that has it; on Ubuntu: apt install linux-modules-extra-$(uname -r)",
    ),
    (("not permitted", "Permission denied"), "even root may not do it", "is it a container?"),
)


def diagnose(answer: str) -> tuple[str, str]:
    """Return the cause, with the answer in parentheses, and the hint."""
    for signs, cause, hint in _CAUSES:
        if any(sign in answer for sign in signs):
            return f"{cause} ({answer})", hint
    return answer or "no answer", "what do `nft list ruleset` and `tc qdisc` say there, as root?"
