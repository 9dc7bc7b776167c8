"""Operators that wait for one task beside the photos: modal with a timer in a window, a plain loop in background."""

import sys

import bpy

from ..addon import cli, preferences, properties, session
from ..neural.contract.errors import CancelledError, LikenessError
from .runner import TICK_S, redraw


class TaskRunner:
    """Mixin. The session has one task at a time, with title, text, fraction (None: not known), error, cancel() and wait(seconds) -> ended.

    An operator gives start() -> the running task (LikenessError when it cannot be), said(task) -> the sentence of success, and
    the texts `failed` (title of the dialog) and `cancelled`.
    """

    windowed = False   # set by invoke: a person is looking, so do not block
    failed = cancelled = ""
    _timer = None

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return not properties.state(context).task_running

    def begin(self, context: bpy.types.Context) -> set[str]:
        """Starts the task, then the modal loop, or blocks until it has ended."""
        try:
            task = session.get().task = self.start()
        except LikenessError as exc:
            return self._fail(exc)
        _show(properties.state(context), task)
        if self.windowed and not bpy.app.background:
            manager = context.window_manager
            with context.temp_override(window=manager.windows[0]):     # not the preferences': closing them would end the operator
                self._timer = manager.event_timer_add(TICK_S, window=manager.windows[0])
                manager.modal_handler_add(self)
            redraw(context)
            return {"RUNNING_MODAL"}
        told = ""
        with cli.interruptible() as asked:
            while not task.wait(0.2):
                if asked[0]:
                    task.cancel()
                if task.text != told:
                    told = task.text
                    print(f"Likeness: {'' if task.fraction is None else f'{task.fraction:4.0%} '}{told}", file=sys.stderr, flush=True)
        return self._finish(context, task)

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        task = session.get().task
        if task is None:                      # the extension was disabled meanwhile
            self._release(context)
            return {"CANCELLED"}
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        if not task.wait(0.0):
            _show(properties.state(context), task)
            redraw(context)
            return {"PASS_THROUGH"}
        return self._finish(context, task)

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender ends the operator (another file is loaded, the window closes)."""
        current = session.get()
        if current.task is not None:
            current.task.cancel()
            current.task = None
        self._release(context)

    def _release(self, context: bpy.types.Context) -> None:
        if self._timer is not None:
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None
        state = properties.state(context)
        state.task_running, state.task_title, state.task_text, state.task_fraction = False, "", "", -1.0

    def _finish(self, context: bpy.types.Context, task) -> set[str]:
        self._release(context)
        session.get().task = None
        preferences.forget()
        redraw(context)
        if task.error is not None:
            return self._fail(task.error)
        properties.state(context).error_code = ""
        self.report({"INFO"}, self.said(task))
        return {"FINISHED"}

    def _fail(self, error: LikenessError) -> set[str]:
        if isinstance(error, CancelledError):
            self.report({"WARNING"}, self.cancelled)
            return {"CANCELLED"}
        properties.show_error(error, f"{error.code}\n{error.message} {error.remedy}\n\n{error.trace}", self.failed)
        if self.windowed and not bpy.app.background:
            bpy.ops.likeness.show_error("INVOKE_DEFAULT")
        else:
            self.report({"ERROR"}, f"{error.message} {error.remedy} ({error.code})")
        return {"CANCELLED"}


def _show(state, task) -> None:
    state.task_running, state.task_title, state.task_text = True, task.title, task.text
    state.task_fraction = -1.0 if task.fraction is None else task.fraction
