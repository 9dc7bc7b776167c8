"""The one way in which operators run jobs: modal with a timer in a window, a plain loop in background."""

from dataclasses import replace

import bpy

from ..addon import cli, person, preferences, properties, session
from ..addon.jobs import CANCELLED, DONE, FAILED, QUEUED, SKIPPED, Job
from ..neural.contract.errors import LikenessError, OptionError
from ..neural.contract.job import JobOptions

TICK_S = 0.1


def redraw(context: bpy.types.Context) -> None:
    """All 3D viewports and preferences, in all windows."""
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in ("VIEW_3D", "PREFERENCES"):
                area.tag_redraw()


def redraw_later() -> None:
    """Twice more after the last event: panels that changed their height settle only with a further drawing."""
    for seconds in (0.2, 0.8):
        bpy.app.timers.register(lambda: redraw(bpy.context), first_interval=seconds)


def options_of(operator) -> JobOptions:
    """The operator's options; the device of the preferences where the operator leaves it open."""
    options = properties.job_options(operator)
    chosen = preferences.get().device
    if options.device == "auto" and chosen != "auto":
        options = replace(options, device=chosen)
    return options


def take_panel_options(operator, context: bpy.types.Context) -> None:
    """Options that the caller has not given come from the panel (button, drag and drop); scripts get the defaults."""
    panel = properties.state(context).options
    for name in properties.OptionsMixin.__annotations__:
        if not operator.properties.is_property_set(name):
            setattr(operator, name, getattr(panel, name))


def draw_options(layout: bpy.types.UILayout, source) -> None:
    """The options of a job; `source` has the properties of OptionsMixin."""
    layout.use_property_split = True
    layout.use_property_decorate = False
    layout.prop(source, "height")
    layout.prop(source, "person")
    layout.prop(source, "face")
    layout.prop(source, "surface")
    layout.prop(source, "depth")
    layout.prop(source, "texture")
    layout.prop(source, "remove_shading")
    layout.prop(source, "device")
    layout.prop(source, "seed")
    layout.prop(source, "body")


class QueueRunner:
    """Mixin of operators that put photos into the queue and see to it that it is worked on."""

    windowed = False   # set by invoke: a person is looking, so do not block
    _timer = None

    def begin(self, context: bpy.types.Context, photos: list, nothing: str, replaces: str = "", skip: bool = False, **changes) -> set[str]:
        """Runs the photos with the operator's own options; without any photo, `nothing` is what the person is told.

        skip: leave out photos that are in the scene, or wait, with the same options already. changes: of JobOptions."""
        if not photos:
            self.report({"ERROR"}, nothing)
            return {"CANCELLED"}
        try:
            options = replace(options_of(self), **changes).checked()
        except OptionError as exc:
            return self.refuse(exc)
        current, known = session.get(), {}
        if skip:
            known = {j.origin: "" for j in current.queue.jobs if not j.ended} | person.made_before(context.scene)
        jobs = []
        for photo in photos:
            origin = person.origin_of(photo, options) if skip else ""
            jobs.append(current.skip(photo, options, known[origin]) if origin in known else current.add(photo, options, replaces))
        if skipped := sum(j.state == SKIPPED for j in jobs):
            self.report({"INFO"}, f"{skipped} photo(s) are there already")
        return self.run(context, jobs)

    def draw(self, context: bpy.types.Context) -> None:
        self.layout.row().prop(self, "preset", expand=True)
        draw_options(self.layout.column(), self)

    def run(self, context: bpy.types.Context, jobs: list[Job]) -> set[str]:
        """Starts the modal loop, or blocks until these jobs of the queue are done."""
        session.get().sync()
        if self.windowed and not bpy.app.background:
            return self._start_modal(context)
        return self._block(jobs)

    # -- blocking: background, scripts, command line -------------------------------------------------------------------

    def _block(self, jobs: list[Job]) -> set[str]:
        current = session.get()
        current.queue.paused = False          # nobody could press Resume while Blender is blocked
        with cli.interruptible() as asked:
            for job in jobs:
                while not job.ended:
                    ended = current.queue.pump(0.2)
                    if asked[0] and not job.ended:
                        current.queue.cancel(everything=True)
                    if ended is not None:
                        self._after(ended)
        current.sync()
        return {"FINISHED"} if any(j.state in (DONE, SKIPPED) for j in jobs) else {"CANCELLED"}

    # -- modal: a window -----------------------------------------------------------------------------------------------

    def _start_modal(self, context: bpy.types.Context) -> set[str]:
        current = session.get()
        if current.pumped:      # another operator's loop takes the new photos along
            self.report({"INFO"}, "Added to the queue")
            return {"FINISHED"}
        current.pumped = True
        self._failed = None
        manager = context.window_manager
        self._timer = manager.event_timer_add(TICK_S, window=context.window)
        manager.modal_handler_add(self)
        redraw(context)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        current = session.get()
        running = current.queue.current
        if event.type == "ESC" and event.value == "PRESS" and running is not None and running.state != QUEUED:
            current.queue.cancel()
            current.sync()
            redraw(context)
            return {"RUNNING_MODAL"}
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        ended = current.queue.pump(0.0)
        current.sync()
        state = properties.state(context)
        if context.workspace is not None:
            context.workspace.status_text_set(
                f"Likeness: {state.photo}   {state.label} {state.fraction:.0%}   {state.left}   (Esc cancels)")
        if ended is not None:
            self._after(ended)
            if ended.state == FAILED:
                self._failed = ended
        redraw(context)
        if current.queue.current is None:
            return self._leave(context)
        return {"PASS_THROUGH"}

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender ends the operator (another file is loaded, the window closes)."""
        session.get().queue.cancel(everything=True)
        self._release(context)

    def _leave(self, context: bpy.types.Context) -> set[str]:
        failed = self._failed
        self._release(context)
        if failed is not None:
            bpy.ops.likeness.show_error("INVOKE_DEFAULT")
        return {"FINISHED"}

    def _release(self, context: bpy.types.Context) -> None:
        if self._timer is not None:
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None
        if context.workspace is not None:
            context.workspace.status_text_set(None)
        session.get().pumped = False
        session.get().sync()
        redraw(context)
        redraw_later()

    def _after(self, job: Job) -> None:
        """Once for each job that has ended: undo step, message."""
        session.get().ended(job)
        if job.state == DONE:
            if not bpy.app.background:
                bpy.ops.ed.undo_push(message=f"Likeness: {job.made}")
            said = session.warnings_of(job.report or {})
            self.report({"INFO"}, f"{job.made}: done in {job.seconds:.0f} s" + (f", {len(said)} warning(s)" if said else ""))
        elif job.state == CANCELLED:
            self.report({"WARNING"}, f"{job.photo.name}: cancelled")
        else:
            kind = {"WARNING"} if self.windowed else {"ERROR"}     # in a window the dialog says it
            self.report(kind, f"{job.photo.name}: {job.error.message} {job.error.remedy}")

    def refuse(self, error: LikenessError) -> set[str]:
        """An option that cannot be."""
        self.report({"ERROR"}, f"{error.message} {error.remedy}")
        return {"CANCELLED"}
