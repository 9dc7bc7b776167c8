// SPDX-License-Identifier: GPL-3.0-or-later
// A job type for Flamenco 3: a folder of photos in parts, one Blender task a part. Copy this file into the Manager's folder `scripts`.
// docs/farm.md says what the workers need, and what their exit status means.

const JOB_TYPE = {
    label: "Likeness: people from photos",
    description: "Each photo becomes a textured, rigged person in a folder of its own. A part that was interrupted goes on where it was.",
    settings: [
        { key: "photos", type: "string", subtype: "dir_path", required: true, visible: "submission",
          description: "Folder of photos, under the same path on all workers" },
        { key: "results", type: "string", subtype: "dir_path", required: true, visible: "submission",
          description: "Folder for the results; each part writes into a folder of its own in it, with its own journal" },
        { key: "parts", type: "int32", default: 10, propargs: {min: 1, max: 10000}, visible: "submission",
          description: "Into how many tasks the photos are divided; a few times the number of workers" },
        { key: "preset", type: "string", choices: ["draft", "standard", "high"], default: "standard", visible: "submission",
          description: "How large and how fine" },
        { key: "device", type: "string", choices: ["auto", "cpu", "cuda", "mps"], default: "auto", visible: "submission",
          description: "What computes; auto: the best that each worker has" },
        { key: "seed", type: "int32", default: 0, visible: "submission", description: "Same seed, same result" },
    ],
};

function compileJob(job) {
    const settings = job.settings;
    const digits = String(settings.parts).length;
    for (let part = 1; part <= settings.parts; part++) {
        const name = "part-" + String(part).padStart(digits, "0");
        const task = author.Task(name, "blender");
        task.addCommand(author.Command("exec", {
            exe: "{blender}",
            args: ["-c", "likeness", settings.photos, "-o", settings.results.replace(/[\/\\]+$/, "") + "/" + name,
                   "--part", part + "/" + settings.parts, "--preset", settings.preset, "--device", settings.device,
                   "--seed", String(settings.seed)],
        }));
        job.addTask(task);
    }
}
