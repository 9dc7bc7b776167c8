"""Text for narrow panels. No bpy."""

from __future__ import annotations

import textwrap

PIXELS_A_LETTER = 7.0   # of Blender's interface font at scale 1, a little generous


def wrapped(text: str, letters: int) -> list[str]:
    """Lines of at most `letters` letters; at least one line."""
    return textwrap.wrap(text, max(letters, 16)) or [""]


def letters_in(width_px: float, ui_scale: float, indent_px: float = 50.0) -> int:
    """How many letters fit into a panel of this width (minus icon and margins)."""
    return max(int((width_px / max(ui_scale, 0.1) - indent_px) / PIXELS_A_LETTER), 16)
