"""Blender side: data and jobs, no operators and no panels. Importing the package needs no bpy; registering does."""


def register() -> None:
    from . import cli, preferences, properties

    properties.register()
    preferences.register()
    cli.register()


def unregister() -> None:
    from . import cli, preferences, properties, session

    cli.unregister()
    session.unregister()
    preferences.unregister()
    properties.unregister()
