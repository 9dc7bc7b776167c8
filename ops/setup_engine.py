"""Make the engine's environment, only on the person's click."""

import sys

import bpy

from ..addon import compat, engine, preferences, session
from ..addon.setup import Setup
from ..neural.contract.errors import EngineError
from .task import TaskRunner


class LIKENESS_OT_setup_engine(TaskRunner, bpy.types.Operator):
    """Download and install the libraries of the engine that does the work (about 1 GB, once), into your user folder; or check the Python chosen in the preferences"""

    bl_idname = "likeness.setup_engine"
    bl_label = "Set Up Engine"
    bl_options = {"REGISTER"}

    failed = "The engine is not set up"
    cancelled = "The set-up was cancelled; press Set Up Engine to go on"

    def start(self) -> Setup:
        prefs = preferences.get()
        existing = engine.interpreter(prefs.engine_python) if prefs.engine_python else None
        if prefs.engine_python and existing is None:
            raise EngineError("engine.missing", f"There is no Python at '{prefs.engine_python}'.",
                              "Choose another one in the preferences, or leave the field empty.")
        if existing is None and not compat.online_access():
            raise EngineError("engine.offline", "Blender may not use the network.",
                              "Allow online access in Preferences > System, or choose an existing Python in the extension's preferences.")
        session.get().engine.stop()
        return Setup(engine.ROOT, engine.environment_folder(prefs.engine_folder), sys.executable, tuple(bpy.app.python_args), existing).start()

    def said(self, task: Setup) -> str:
        return "The engine is ready"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        self.windowed = True
        return self.begin(context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        return self.begin(context)


CLASSES = (LIKENESS_OT_setup_engine,)
