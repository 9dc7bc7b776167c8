"""What a person sees: the sidebar tab, menus, drag and drop. Panels only read; operators act."""


def _modules():
    from . import menus, queue, result, sidebar

    return sidebar, queue, result, menus


def register() -> None:
    import bpy

    for module in _modules():
        for cls in module.CLASSES:
            bpy.utils.register_class(cls)
    _modules()[-1].add()


def unregister() -> None:
    import bpy

    _modules()[-1].remove()
    for module in reversed(_modules()):
        for cls in reversed(module.CLASSES):
            bpy.utils.unregister_class(cls)
