# SPDX-License-Identifier: GPL-3.0-or-later
"""Likeness: one photo of a clothed person becomes a textured, SMPL-rigged mesh. Registration only."""


def register() -> None:
    from . import addon, ops, panels

    addon.register()
    ops.register()
    panels.register()


def unregister() -> None:
    from . import addon, ops, panels

    panels.unregister()
    ops.unregister()
    addon.unregister()
