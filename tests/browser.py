"""A real Chromium for tests and for the docs' pictures, without network access."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import BrowserContext, sync_playwright

_FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium(binary: Path, folder: Path) -> Iterator[BrowserContext]:
    """Start it without a window, and end it.

    Arguments:
        binary: the system's, or the one that was unpacked.
        folder: an empty one, for its profile.
    """
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            folder / "profile",
            executable_path=binary,
            headless=True,
            chromium_sandbox=False,
            env={**os.environ, **_fonts(binary, folder)},
            args=_FLAGS,
        )
        yield context
        context.close()


def _fonts(binary: Path, folder: Path) -> dict[str, str]:
    """Return font settings for a system without fonts and font settings."""
    if Path("/etc/fonts/fonts.conf").exists():
        return {}
    own = binary.parents[1] / "usr/share/fonts"
    settings = folder / "fonts.conf"
    settings.write_text(
        f"<fontconfig><dir>{own}</dir><cachedir>{folder}/cache</cachedir></fontconfig>"
    )
    return {"FONTCONFIG_FILE": str(settings)}
