"""Blender side: data and jobs, no operators and no panels."""
def register(): pass
def unregister(): pass
