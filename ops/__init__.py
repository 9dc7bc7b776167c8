"""Operators: what a person or a script asks for. They read options, pump jobs, and call addon/ for the rest."""


def _modules():
    from . import cancel, export, import_checkpoint, import_photo, import_sequence, person, report, rerun, setup_engine

    return import_photo, import_sequence, cancel, rerun, setup_engine, import_checkpoint, report, person, export


def register() -> None:
    import bpy

    for module in _modules():
        for cls in module.CLASSES:
            bpy.utils.register_class(cls)


def unregister() -> None:
    import bpy

    for module in reversed(_modules()):
        for cls in reversed(module.CLASSES):
            bpy.utils.unregister_class(cls)
