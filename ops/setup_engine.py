"""Make the engine's environment, only on the person's click."""

import sys
from pathlib import Path

import bpy

from ..addon import compat, engine, preferences, properties, session
from ..addon.setup import Setup
from ..neural.contract.errors import CancelledError
from .runner import TICK_S, redraw


class LIKENESS_OT_setup_engine(bpy.types.Operator):
    """Download and install the libraries of the engine that does the work (about 1 GB, once), into your user folder; or check the Python chosen in the preferences"""

    bl_idname = "likeness.setup_engine"
    bl_label = "Set Up Engine"
    bl_options = {"REGISTER"}

    _timer = None

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return not properties.state(context).setup_running

    def _begin(self) -> Setup | None:
        prefs = preferences.get()
        existing = Path(prefs.engine_python).expanduser() if prefs.engine_python else None
        if existing is not None:
            existing = engine.interpreter(prefs.engine_python)
            if existing is None:
                self.report({"ERROR"}, f"There is no Python at '{prefs.engine_python}'. Choose another one in the "
                                       "preferences, or leave the field empty.")
                return None
        elif not compat.online_access():
            self.report({"ERROR"}, "Blender may not use the network. Allow online access in Preferences > System, or "
                                   "choose an existing Python in the extension's preferences.")
            return None
        current = session.get()
        current.engine.stop()
        current.setup = Setup(engine.ROOT, engine.environment_folder(prefs.engine_folder), sys.executable,
                              tuple(bpy.app.python_args), existing).start()
        properties.state().setup_running = True
        return current.setup

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if self._begin() is None:
            return {"CANCELLED"}
        self._timer = context.window_manager.event_timer_add(TICK_S, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        setup = self._begin()
        if setup is None:
            return {"CANCELLED"}
        told = ""
        while not setup.wait(0.2):
            if setup.text != told:
                told = setup.text
                print(f"Likeness: {setup.fraction:4.0%} {told}", file=sys.stderr, flush=True)
        return self._finish(context, setup)

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        setup, state = session.get().setup, properties.state(context)
        if setup is None:                     # the extension was disabled meanwhile
            self._release(context)
            return {"CANCELLED"}
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        state.setup_text, state.setup_fraction = setup.text, setup.fraction
        redraw(context)
        if not setup.done:
            return {"PASS_THROUGH"}
        self._release(context)
        return self._finish(context, setup)

    def cancel(self, context: bpy.types.Context) -> None:
        setup = session.get().setup
        if setup is not None:
            setup.cancel()
        self._release(context)

    def _release(self, context: bpy.types.Context) -> None:
        if self._timer is not None:
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None
        properties.state(context).setup_running = False

    def _finish(self, context: bpy.types.Context, setup: Setup) -> set[str]:
        state = properties.state(context)
        state.setup_running, state.setup_fraction, state.setup_text = False, 0.0, ""
        preferences.forget()
        redraw(context)
        if setup.error is None:
            state.error_code = ""
            self.report({"INFO"}, "The engine is ready")
            return {"FINISHED"}
        if isinstance(setup.error, CancelledError):
            self.report({"WARNING"}, "The set-up was cancelled; press Set Up Engine to go on")
            return {"CANCELLED"}
        properties.show_error(setup.error, f"{setup.error.code}\n{setup.error.message}\n\n{setup.error.trace}")
        if bpy.app.background:
            self.report({"ERROR"}, f"{setup.error.message} {setup.error.remedy}")
        else:
            bpy.ops.likeness.show_error("INVOKE_DEFAULT")
        return {"CANCELLED"}


CLASSES = (LIKENESS_OT_setup_engine,)
