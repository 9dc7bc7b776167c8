"""s03: the body model fitted to the person: pose, shape, place; and its maps on the canvas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..body import face
from ..body.evidence import Evidence, without_forward_bias
from ..body.fit import Fit, fit
from ..body.hand_place import PlacedHands, place_hands
from ..body.hands import bends, bent
from ..body.lift import lift, lifter
from ..body.model import BodyModel
from ..body.skinning import skin
from ..context import Context
from ..contract.frames import Camera
from ..contract.joints import LANDMARK
from ..geometry.normals import vertex_normals
from ..geometry.raster import rasterize
from ..nets.lifter import Lifter
from .s02_person import Person

NAME = "s03_body"


@dataclass(frozen=True)
class BodyMaps:
    """The fitted body seen by `Person.camera`, rendered on an M x M canvas (M = S / 2; camera.resized(M, M)).

    Front = nearest surface, back = farthest surface along the same ray. NaN / 0 outside the body.
    depth_front, depth_back     (M, M) float32, z in metres.
    normal_front, normal_back   (M, M, 3) float32, unit, outward, camera frame (front: z < 0; back: z > 0).
    part_front, part_back       (M, M) uint8: SMPL joint with the largest weight + 1; 0 = nothing.
    uv_front, uv_back           (M, M, 2) float32 in [0, 1], the body model's UVs.
    """

    depth_front: np.ndarray
    depth_back: np.ndarray
    normal_front: np.ndarray
    normal_back: np.ndarray
    part_front: np.ndarray
    part_back: np.ndarray
    uv_front: np.ndarray
    uv_back: np.ndarray


@dataclass(frozen=True)
class Fingers:
    """The fingers of a body that has them (contract.joints.FINGER_JOINTS, left hand first). Metres.

    pose          (30, 3) float32 axis-angle relative to the parent.       at_ease (30, 3) float32: idem, of hands that hang and do nothing.
    rest_joints   (30, 3) float32 T-pose with straight fingers, frame `body`.
    weights       (V, 30) float32; summed over a hand: the weight of the hand joint in Body.weights.
    rest_vertices (V, 3) float32 T-pose with straight fingers, frame `body`.
    found         for the left and the right hand: "points", "rejected" or "unseen" (hand_place.PlacedHands).
    """

    pose: np.ndarray
    at_ease: np.ndarray
    rest_joints: np.ndarray
    weights: np.ndarray
    rest_vertices: np.ndarray
    found: tuple[str, str]


@dataclass(frozen=True)
class Body:
    """The fitted body. Metres. V vertices, F triangles, 24 SMPL joints, rotations as axis-angle (radians).

    pose             (24, 3) float32; pose[0] turns the body frame into camera axes (SMPL's global_orient).
    betas            (B,) float32, standard deviations.
    scale            uniform scale on the shaped template.
    translation      (3,) float32: camera metres; vertices = LBS(rest_vertices, pose) + translation.
    vertices         (V, 3) float32 posed, camera frame.        joints       (24, 3) float32 posed, camera frame.
    rest_vertices    (V, 3) float32 T-pose, frame `body`, fingers bent as in the photo.       rest_joints  (24, 3) float32, frame `body`.
    camera_from_rest (24, 4, 4) float64: the joint transforms of LBS, translation included; vertex = sum_j w_j T_j rest.
    faces            (F, 3) int32.
    weights          (V, 24) float32, rows sum to 1.
    uv               (U, 2) float32;  uv_faces (F, 3) int32 into `uv`.
    part             (V,) uint8: joint with the largest weight.
    height_m         height of the body standing upright.       height_is_guess  True unless the person gave it.
    up               (3,) float64 unit, camera frame: the world's up, from the camera's estimated pitch.
    error_px         mean distance of fitted to detected visible landmarks, crop pixels.
    fingers          None when the body's hands are stiff (a person's own body file).
    """

    pose: np.ndarray
    betas: np.ndarray
    scale: float
    translation: np.ndarray
    vertices: np.ndarray
    joints: np.ndarray
    rest_vertices: np.ndarray
    rest_joints: np.ndarray
    camera_from_rest: np.ndarray
    faces: np.ndarray
    weights: np.ndarray
    uv: np.ndarray
    uv_faces: np.ndarray
    part: np.ndarray
    height_m: float
    height_is_guess: bool
    error_px: float
    maps: BodyMaps
    up: np.ndarray
    method: str = "landmark+silhouette fit"
    fingers: Fingers | None = None


DEFAULT_HEIGHT_M = 1.70
"""Height of a person whose size nobody gave: between the means of women and men (WHO reference: 1.63 and 1.77 m)."""


LIMBS = (("elbow", "wrist", "pinky", "index", "thumb"), ("wrist", "pinky", "index", "thumb"),
         ("knee", "ankle", "heel", "foot_index"), ("ankle", "heel", "foot_index"))
"""Chains of landmarks: what comes after one that is not seen is not seen either."""


def fit_body(person: Person, model: BodyModel, context: Context) -> Body:
    """Pose, shape and place of the body in the photo, and its maps (SMPLify, Bogo et al. 2016, with our priors; design.md §9).

    Height: options.height_m, else estimated and said to be a guess. Scale and distance go together, so the picture stays the same.
    """
    for code, sentence in model.warnings:
        context.warn(code, sentence)
    net = lifter()
    if net is None:
        context.warn("body.no-lifter", "The network that judges depth is not installed; the pose in depth is rougher.")
    evidence = evidence_of(person, model, net)
    _say_what_is_missing(person, evidence, context)
    result = fit(model, evidence, step=lambda done, of: context.step(done, of + 1))
    return fitted_body(person, model, evidence, result, context, "landmark+silhouette fit" if net is None else "lifter+landmark+silhouette fit")


def fitted_body(person: Person, model: BodyModel, evidence: Evidence, result: Fit, context: Context, method: str) -> Body:
    """The Body of a fit: scaled to its height, with hands and maps."""
    scale, guess = _scale(model, result.betas, context)
    translation = scale * result.translation
    pose, hands = result.pose, None
    if model.hands is not None:
        hands = place_hands(model, pose, result.betas, result.translation, person.camera, _hand_points(person, evidence))
        pose = hands.pose
        _say_of_hands(hands, evidence, context)
    _, joints, transforms = model.posed(pose, result.betas, scale, translation)
    straight, rest_joints = model.shaped(result.betas, scale)
    rest, fingers = (straight, None) if hands is None else _bend(model, hands, straight, result.betas, scale)
    vertices = skin(rest, model.weights, transforms)
    if result.error_px > 0.03 * evidence.size_px:
        context.warn("body.poor-fit", "The body does not follow the pose in the photo well; parts of it may be misplaced.")
    size = person.mask.shape[0] // 2
    maps = render_maps(vertices, model, person.camera.resized(size, size))
    single = lambda a: np.ascontiguousarray(a, np.float32)
    return Body(
        pose=single(pose), betas=single(result.betas), scale=float(scale), translation=single(translation),
        vertices=single(vertices), joints=single(joints), rest_vertices=single(rest), rest_joints=single(rest_joints),
        camera_from_rest=transforms, faces=model.faces, weights=single(model.weights), uv=model.uv, uv_faces=model.uv_faces,
        part=model.part, height_m=model.standing_height(result.betas, scale), height_is_guess=guess,
        error_px=result.error_px, maps=maps, up=np.array([0.0, -np.cos(result.tilt), np.sin(result.tilt)]),
        method=method + _hands_method(hands), fingers=fingers,
    )


def _hand_points(person: Person, evidence: Evidence) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The hands' points, for hands on arms that are seen."""
    return tuple(hand if hand is not None and evidence.seen(f"{side}_wrist") > 0.3 else None
                 for side, hand in (("left", person.left_hand), ("right", person.right_hand)))


def _bend(model: BodyModel, hands: PlacedHands, straight: np.ndarray, betas: np.ndarray, scale: float) -> tuple[np.ndarray, Fingers]:
    """Rest vertices with the fingers bent, and the fingers."""
    joints = model.hands.shaped(betas, scale)
    single = lambda a: np.ascontiguousarray(a, np.float32)                # noqa: E731
    return (bent(straight, model.hands.weights, bends(hands.fingers, joints)),
            Fingers(single(hands.fingers), single(hands.at_ease), single(joints), single(model.hands.weights), single(straight), hands.found))


def _hands_method(hands: PlacedHands | None) -> str:
    if hands is None:
        return ""
    seen = [side for side, found in zip(("left", "right"), hands.found) if found == "points"]
    return f"+fingers({','.join(seen)})" if seen else "+fingers at ease"


def _say_of_hands(hands: PlacedHands, evidence: Evidence, context: Context) -> None:
    """Fingers that are a guess although the hand is in the photo."""
    guessed = [side for side, found in zip(("left", "right"), hands.found)
               if found == "rejected" or (found == "unseen" and evidence.seen(f"{side}_wrist") > 0.3)]
    if guessed:
        which = "both hands are" if len(guessed) == 2 else f"the {guessed[0]} hand are"
        context.warn("body.fingers-guessed", f"The fingers of {which} not seen clearly; relaxed fingers were assumed.")


def evidence_of(person: Person, model: BodyModel, net: Lifter | None = None) -> Evidence:
    """The person's landmarks, mask and face as the fit wants them; what lies outside the photo counts as unseen. net: the lifter, or None."""
    pixels = person.landmarks.astype(np.float64)
    side = person.mask.shape[0]
    at = np.floor(pixels).astype(int)
    on = ((at >= 0) & (at < side)).all(1)
    at = np.clip(at, 0, side - 1)
    on &= person.inside[at[:, 1], at[:, 0]]
    trust = trust_of(person.visibility, on)
    hands = np.full((2, 2), np.nan)
    for k, hand in enumerate((person.left_hand, person.right_hand)):
        if hand is not None and trust[LANDMARK[("left_wrist", "right_wrist")[k]]] > 0.3:
            hands[k] = hand[9, :2]                             # MediaPipe's hand point 9: knuckle of the middle finger
    head = None
    if person.face is not None:
        head = face.head_rotation(person.face.astype(np.float64), person.camera, model)
    attitude = None
    if net is not None:
        attitude = lift(net, model, person.camera, pixels, trust, person.landmarks_world.astype(np.float64))
    plain = _towards(person)
    world = plain if attitude is None else attitude.landmarks
    return Evidence(person.camera, pixels, trust, world, person.mask, person.inside, head, hands, person.facing, attitude,
                    plain if attitude is not None else None)


def trust_of(visibility: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """(33,) visibility and whether the landmark lies within the photo -> (33,) trust in [0, 1]."""
    trust = np.where(inside, np.clip((visibility - 0.15) / 0.6, 0, 1), 0.0)
    for side in ("left", "right"):                             # a hand that is nowhere: the elbow at the photo's border is half a guess
        if visibility[LANDMARK[f"{side}_wrist"]] < 0.12:
            half = 0.4 * trust[LANDMARK[f"{side}_elbow"]]
            trust[LANDMARK[f"{side}_elbow"]] = half if half > 0.3 else 0.0
    for chain in LIMBS:                                        # nobody sees a hand whose arm he does not see: on portraits
        for side in ("left", "right"):                         # BlazePose puts such hands on the face
            if trust[LANDMARK[f"{side}_{chain[0]}"]] < 0.3:
                trust[[LANDMARK[f"{side}_{name}"] for name in chain[1:]]] = 0.0
    return trust


def _towards(person: Person) -> np.ndarray:
    """World landmarks from the direction in which the person stands to camera axes: they are seen as if straight ahead.

    Only the sideways angle counts; up and down is left to the upright prior.
    """
    hips = person.landmarks[23:25].mean(0)
    x = (hips[0] - person.camera.cx) / person.camera.fx
    turn = np.arctan(x)
    c, s = np.cos(turn), np.sin(turn)
    world = without_forward_bias(person.landmarks_world.astype(np.float64))
    return world @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]).T


def _scale(model: BodyModel, betas: np.ndarray, context: Context) -> tuple[float, bool]:
    """Uniform scale of the fitted shape, and whether the height is a guess."""
    shape = model.standing_height(betas)
    if context.options.height_m is not None:
        return context.options.height_m / shape, False
    # one photo does not show size: proportions only hint at it, so a third of the hint is kept
    height = DEFAULT_HEIGHT_M + (shape - model.standing_height()) / 3
    context.warn("body.height-guess", f"The height of the person is not known; {height:.2f} m was assumed.")
    return height / shape, True


def _say_what_is_missing(person: Person, evidence: Evidence, context: Context) -> None:
    legs = [n for n in ("knee", "ankle") if max(evidence.seen(f"left_{n}"), evidence.seen(f"right_{n}")) < 0.3]
    if legs:
        context.warn("body.legs-unseen", "The legs are not wholly in the photo; they were made to stand straight.")
    arms = [s for s in ("left", "right") if evidence.seen(f"{s}_elbow") < 0.3 and evidence.seen(f"{s}_wrist") < 0.3]
    if arms:
        which = "Both arms are" if len(arms) == 2 else f"The {arms[0]} arm is"
        context.warn("body.arms-unseen", f"{which} not seen; a hanging arm was assumed.")


def render_maps(vertices: np.ndarray, model: BodyModel, camera: Camera) -> BodyMaps:
    """The body seen by `camera`: nearest and farthest surface of every pixel."""
    faces = model.faces[~model.inner[model.faces].all(1)]
    uv_faces = model.uv_faces[~model.inner[model.faces].all(1)]
    normals = vertex_normals(vertices, model.faces)
    label = model.part.astype(np.int64) + 1
    out = {}
    for name in ("front", "back"):
        seen = rasterize(vertices, faces, camera, farthest=name == "back")
        hit = seen.hit
        n = seen.interpolate(normals, faces)
        n[hit] /= np.maximum(np.linalg.norm(n[hit], axis=1, keepdims=True), 1e-9)
        part = np.zeros(hit.shape, np.uint8)
        corner = faces[seen.face[hit]]
        part[hit] = label[corner[np.arange(len(corner)), seen.bary[hit].argmax(1)]]
        out.update({f"depth_{name}": seen.depth, f"normal_{name}": _turned(n, name), f"part_{name}": part,
                    f"uv_{name}": seen.interpolate(model.uv, uv_faces)})
    return BodyMaps(**out)


def _turned(normals: np.ndarray, name: str) -> np.ndarray:
    """Smooth normals at the rim may look a little past the horizon: keep them on their own side (front z < 0)."""
    sign = -1.0 if name == "front" else 1.0
    wrong = normals[..., 2] * sign < 0
    normals[wrong, 2] = 0.0
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    return np.where(length > 1e-9, normals / np.maximum(length, 1e-9), 0).astype(np.float32)
