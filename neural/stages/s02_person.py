"""s02: the people in the photo; for the chosen one a square crop, a mask and landmarks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ..context import Context
from ..contract.errors import PersonError
from ..contract.frames import Camera, apply_2d
from ..contract.joints import LANDMARK
from ..nets.landmarks import LandmarkNets, canvas, describe, face, hands, matte, people, selfie
from ..nets.landmarks.pose import Pose
from ..nets.landmarks.roi import Pyramid, Roi
from .s01_photo import Photo

NAME = "s02_person"


@dataclass(frozen=True)
class Person:
    """The chosen person. Canvas side S = preset.canvas; all pixel coordinates are in frame `crop` unless said.

    boxes             (P, 4) float32 x0, y0, x1, y1 of every person found, frame `photo`, largest first.
    chosen            row of `boxes`.
    camera            the photo's camera seen through the crop (S x S).
    photo_from_crop   (3, 3) float64, axis-aligned scale and shift.
    crop              (S, S, 3) uint8 sRGB; where the canvas reaches beyond the photo: edge replicated.
    inside            (S, S) bool: the pixel lies within the photo.
    mask              (S, S) float32 in [0, 1]: the person's matte (hair and fingers included; 0 outside the photo).
    landmarks         (33, 2) float32, BlazePose order, crop pixels (may lie outside the canvas for cut-off limbs).
    visibility        (33,) float32 in [0, 1].
    landmarks_world   (33, 3) float32 metres, camera axes (x right, y down, z forward), mid-hip origin, lean corrected.
    face              (468, 3) float32 crop pixels (z in the same scale, smaller is nearer), or None.
    left_hand         (21, 3) float32 crop pixels likewise, the subject's left, or None.
    right_hand        idem.
    framing           "full", "knees" (cut at the legs), "upper" (cut at the waist) or "face".
    facing            "front", "back" or "side".
    """

    boxes: np.ndarray
    chosen: int
    camera: Camera
    photo_from_crop: np.ndarray
    crop: np.ndarray
    inside: np.ndarray
    mask: np.ndarray
    landmarks: np.ndarray
    visibility: np.ndarray
    landmarks_world: np.ndarray
    face: np.ndarray | None
    left_hand: np.ndarray | None
    right_hand: np.ndarray | None
    framing: str
    facing: str
    method: str = "blazepose+facemesh+localcolour"


@dataclass(frozen=True)
class PersonConfig:
    """Choices of this stage; all measured on the project's photos unless said."""

    margin: float = 0.08            # of the person's longer side, left free around it on the canvas
    rough_margin: float = 0.25      # of the first look, where the border is not known yet
    too_small_px: float = 60.0      # a person's longer side in photo pixels: below, nothing is gained
    small_part: float = 0.4         # warn when the person's longer side is below this part of the canvas
    dark_level: float = 90.0        # 95th percentile of the brightest channel inside the mask, 0-255 (the median
                                    # would call black clothes in sunlight dark)
    grey_chroma: float = 3.0        # 99th percentile of |R-G|, |G-B| in the photo, 0-255: below, it is greyscale
    face_presence: float = 0.5      # of the mesh network
    hole: float = 5e-4              # of the mask's area: larger ones that were filled are told
    alpha_cover: float = 0.8        # the file's own matte is used when it covers this part of the pose's mask


def find_person(photo: Photo, nets: LandmarkNets, context: Context, config: PersonConfig = PersonConfig(),
                choose: Callable[[list[people.Found], Context], int] | None = None) -> Person:
    """Find the people in `photo`, choose one, and describe it on a canvas of side context.sizes.canvas. choose: another way than by the options.

    Raises PersonError (person.none, person.only-face, person.index, person.too-small, person.mask-*) and
    EngineError (engine.models-missing).
    """
    image = Pyramid(photo.rgb)
    context.step(0, 5)
    found = people.find_people(nets, image, context.check)
    if not found:
        raise _nobody(nets, image)
    chosen = (choose or choose_by_options)(found, context)
    person = found[chosen]
    inside_photo = describe.in_photo(person.pose, image.width, image.height)
    framing = describe.framing(person.pose, image.width, image.height)
    if not inside_photo[[LANDMARK["left_shoulder"], LANDMARK["right_shoulder"]]].any():
        raise _only_face()
    if (person.box[2:] - person.box[:2]).max() < config.too_small_px:
        raise PersonError("person.too-small", "The person in this photo is too small to be reconstructed.",
                          "Use a photo in which the person is at least 300 pixels tall.")
    context.step(1, 5)

    mesh = face.mesh(nets, image, face.roi_from_pose(person.pose))
    facing = describe.facing(person.pose.world, mesh.presence >= config.face_presence)
    face_seen = mesh.presence >= config.face_presence and facing != "back"
    left, right = (hands.find(nets, image, person.pose, side) for side in ("left", "right"))
    context.step(2, 5)

    own_mask = _own_mask(context, photo, person.pose)
    size = context.sizes.canvas
    square = _square(photo, nets, image, person, own_mask, config)
    photo_from_crop = canvas.photo_from_canvas(square, size)
    crop_from_photo = np.linalg.inv(photo_from_crop)
    crop = canvas.cut(photo.rgb, square, size)
    within = canvas.inside(photo.rgb.shape[:2], square, size)
    context.step(3, 5)
    others = [f for i, f in enumerate(found) if i != chosen and people.touches(f.box, person.box)]
    mask, mask_method = _mask(photo, nets, image, person, others, [left, right], own_mask, square, crop, config)
    if mask_method in ("own-mask", "alpha"):                        # our own matte has been looked through already (matte.tidy)
        mask, holes = matte.without_holes(mask, person.pose.mask_on(crop_from_photo, (size, size)))
        if holes > config.hole:
            context.warn("mask.holes", "The mask has holes where the photo shows the person; they were filled.")
    mask = np.where(within, mask, 0).astype(np.float32)
    context.step(4, 5)

    def to_crop(points: np.ndarray) -> np.ndarray:
        out = points.copy()
        out[:, :2] = apply_2d(crop_from_photo, points[:, :2])
        out[:, 2:] *= crop_from_photo[0, 0]
        return out.astype(np.float32)

    result = Person(
        boxes=np.stack([f.box for f in found]).astype(np.float32),
        chosen=chosen,
        camera=_photo_camera(photo).cropped(crop_from_photo, size, size),
        photo_from_crop=photo_from_crop,
        crop=crop,
        inside=within,
        mask=mask,
        landmarks=to_crop(person.pose.points),
        visibility=np.where(inside_photo, person.pose.visibility, np.minimum(person.pose.visibility, 0.3)).astype(np.float32),
        landmarks_world=describe.without_lean(person.pose.world).astype(np.float32),
        face=to_crop(mesh.points) if face_seen else None,
        left_hand=to_crop(left.points) if left is not None else None,
        right_hand=to_crop(right.points) if right is not None else None,
        framing=framing,
        facing=facing,
        method=f"blazepose+facemesh+{mask_method}",
    )
    _warnings(result, photo, person, inside_photo, context, config)
    context.step(5, 5)
    return result


def _nobody(nets: LandmarkNets, image: Pyramid) -> PersonError:
    if face.face_boxes(nets, image):
        return _only_face()
    return PersonError("person.none", "There is no person to be seen in this photo.",
                       "Use a photo of one clothed person, well lit and as large in the picture as possible.")


def _only_face() -> PersonError:
    return PersonError("person.only-face", "A face was found in this photo, but no body.",
                       "Use a photo that shows the person at least down to the waist, with both sides; best from head to feet.")


def choose_by_options(found: list[people.Found], context: Context) -> int:
    """Row of the person asked for: by place, by number, else the largest."""
    at, number = context.options.person_at, context.options.person
    if at is not None:
        boxes = np.stack([f.box for f in found])
        outside = np.maximum(np.maximum(boxes[:, :2] - at, at - boxes[:, 2:]), 0)
        away = np.hypot(*outside.T)
        if away.min() > 0.05 * np.hypot(*(boxes[:, 2:] - boxes[:, :2]).max(0)):
            raise PersonError("person.not-there", "There is no person at the place that was chosen.",
                              "Click on a person, or leave the choice to Likeness.")
        middle = np.hypot(*((boxes[:, :2] + boxes[:, 2:]) / 2 - at).T)
        near = np.flatnonzero(away <= away.min() + 1e-6)
        return int(near[np.argmin(middle[near])])
    if number is not None and number >= len(found):
        noun = "person was" if len(found) == 1 else "people were"
        raise PersonError("person.index", f"Person {number} was asked for, but only {len(found)} {noun} found.",
                          f"Choose a number from 0 (the largest) to {len(found) - 1}.")
    return number or 0


def _photo_camera(photo: Photo) -> Camera:
    h, w = photo.rgb.shape[:2]
    if photo.focal_px is None:
        return Camera.from_fov(w, h)
    return Camera(w, h, photo.focal_px, photo.focal_px, w / 2, h / 2)


def _opinions(nets: LandmarkNets, image: Pyramid, person: people.Found, square: tuple[int, int, int], size: int,
              fine: bool) -> tuple[np.ndarray, np.ndarray]:
    """Prior of the silhouette and the pose's own mask, (size, size) float32, on the canvas of `square`.

    The pose's mask is the better one when its region is filled by the person; when the photo shows only the upper
    part of a large region, the silhouette network sees finer.
    """
    x0, y0, side = square
    canvas_from_photo = np.linalg.inv(canvas.photo_from_canvas(square, size))
    shown = side / person.pose.roi.side
    if fine and shown > 0.6:
        own = people.pose_mask(nets, image, person.pose, canvas_from_photo, size)
    else:
        own = person.pose.mask_on(canvas_from_photo, (size, size))
    weight = float(np.clip((0.75 - shown) / 0.4, 0, 1)) * 0.6
    if weight <= 0:
        return own, own
    sil = selfie.silhouette(nets, image, Roi(x0 + side / 2, y0 + side / 2, float(side)))
    sil = np.clip(cv2.resize(sil, (size, size), interpolation=cv2.INTER_CUBIC), 0, 1)
    return matte.rough(own, sil, weight).astype(np.float32), own


def _square(photo: Photo, nets: LandmarkNets, image: Pyramid, person: people.Found, own_mask: np.ndarray | None,
            config: PersonConfig) -> tuple[int, int, int]:
    """The canvas in whole photo pixels: mask and landmarks within the photo, and the margin."""
    first = canvas.square_around(person.box, config.rough_margin)
    if own_mask is not None:
        solid = canvas.cut(own_mask, first, 256, replicate=False) > 0.5
    else:
        prior, pose_mask = _opinions(nets, image, person, first, 256, fine=False)
        solid = matte.component(prior > 0.5, pose_mask > 0.5)
        if _alpha_covers(photo, person.pose, config):
            solid = matte.component(canvas.cut(photo.alpha, first, 256, replicate=False) > 25, pose_mask > 0.5)
    solid &= canvas.inside(photo.rgb.shape[:2], first, 256)
    rows, cols = np.nonzero(solid)
    box = person.box
    if len(rows):
        m = canvas.photo_from_canvas(first, 256)
        low = apply_2d(m, np.array([cols.min(), rows.min()], float))
        high = apply_2d(m, np.array([cols.max() + 1.0, rows.max() + 1.0]))
        seen = person.pose.points[(person.pose.visibility > 0.5)
                                  & describe.in_photo(person.pose, image.width, image.height)]
        both = np.concatenate([[low, high], seen])
        box = np.concatenate([both.min(0), both.max(0)])
    return canvas.square_around(box, config.margin)


def _alpha_covers(photo: Photo, pose: Pose, config: PersonConfig) -> bool:
    """The file's own matte shows this person (and is not just a vignette with holes in the body)."""
    if photo.alpha is None:
        return False
    m = pose.roi.image_from_net(256)
    rows, cols = np.nonzero(pose.mask_net > 0.7)
    p = apply_2d(m, np.stack([cols + 0.5, rows + 0.5], -1)).astype(int)
    h, w = photo.alpha.shape
    p = p[(p[:, 0] >= 0) & (p[:, 1] >= 0) & (p[:, 0] < w) & (p[:, 1] < h)]
    return len(p) > 0 and float((photo.alpha[p[:, 1], p[:, 0]] > 127).mean()) >= config.alpha_cover


def _mask(photo: Photo, nets: LandmarkNets, image: Pyramid, person: people.Found, others: list[people.Found],
          limbs: list[hands.Hand | None], own_mask: np.ndarray | None, square: tuple[int, int, int], crop: np.ndarray,
          config: PersonConfig) -> tuple[np.ndarray, str]:
    """(S, S) float32 matte on the canvas, and what made it."""
    size = crop.shape[0]
    if own_mask is not None:
        return np.clip(canvas.cut(own_mask, square, size, replicate=False), 0, 1), "own-mask"
    if _alpha_covers(photo, person.pose, config):
        alpha = canvas.cut(photo.alpha, square, size, replicate=False).astype(np.float32) / 255
        seeds = person.pose.mask_on(np.linalg.inv(canvas.photo_from_canvas(square, size)), (size, size)) > 0.5
        return alpha * matte.component(alpha > 0.02, seeds), "alpha"
    work = min(size, matte.MatteConfig.work_side)
    prior, pose_mask = _opinions(nets, image, person, square, work, fine=True)
    for other in others:
        theirs = other.pose.mask_on(np.linalg.inv(canvas.photo_from_canvas(square, work)), (work, work))
        prior = matte.against(prior, pose_mask, theirs)
    prior = _with_limbs(prior, person.pose, limbs, np.linalg.inv(canvas.photo_from_canvas(square, work)))
    solid = matte.component(prior > 0.5, pose_mask > 0.5)
    prior = np.where(solid, prior, np.minimum(prior, 0.4)).astype(np.float32)
    small = crop if work == size else cv2.resize(crop, (work, work), interpolation=cv2.INTER_AREA)
    soft = matte.tidy(matte.recolour(small, prior, canvas.inside(photo.rgb.shape[:2], square, work)), prior, pose_mask > 0.5)
    return matte.soften(crop, soft), "localcolour"


def _with_limbs(prior: np.ndarray, pose: Pose, found_hands: list[hands.Hand | None],
                canvas_from_photo: np.ndarray) -> np.ndarray:
    """`prior` raised along the fingers that were found and inside seen feet: masks of 256 pixels lose both."""
    sure = np.zeros(prior.shape, np.uint8)

    def draw(points: np.ndarray, width: float, closed: bool = False) -> None:
        p = np.round(apply_2d(canvas_from_photo, points) * 16 - 8).astype(np.int32)[None]
        here = np.zeros_like(sure)
        if closed:
            cv2.fillPoly(here, p, 1, shift=4)
        cv2.polylines(here, p, closed, 1, max(int(round(width * canvas_from_photo[0, 0])), 1), shift=4)
        if here.any() and prior[here > 0].mean() > 0.35:       # a limb hidden by something is a guess: not drawn
            np.maximum(sure, here, out=sure)

    for hand in found_hands:
        if hand is not None and hand.presence > 0.9:
            xy = hand.points[:, :2]
            hull = np.zeros(prior.shape, np.uint8)
            cv2.fillConvexPoly(hull, np.round(apply_2d(canvas_from_photo, cv2.convexHull(xy.astype(np.float32))[:, 0])
                                              ).astype(np.int32), 1)
            if prior[hull > 0].min(initial=1) < 0.4:      # in front of background: between the fingers, colours decide
                prior = np.where(hull > 0, np.minimum(prior, 0.55), prior)
            width = 0.25 * np.hypot(*(xy[5] - xy[17]))
            for first in (1, 5, 9, 13, 17):
                draw(xy[[0, first, first + 1, first + 2, first + 3]], width * 0.7)
            draw(xy[[0, 5, 9, 13, 17]], width, closed=True)
    for side in ("left", "right"):
        marks = [LANDMARK[f"{side}_{name}"] for name in ("ankle", "heel", "foot_index")]
        if (pose.visibility[marks] > 0.7).all():
            foot = pose.points[marks]
            draw(foot, 0.2 * np.hypot(*(foot[2] - foot[1])), closed=True)
    return np.where(sure > 0, np.maximum(prior, 0.97), prior).astype(np.float32)


def _own_mask(context: Context, photo: Photo, pose: Pose) -> np.ndarray | None:
    """(H, W) float32 in [0, 1] from the person's own mask image: its alpha when it has one, else its brightness."""
    if context.options.mask is None:
        return None
    path = Path(context.options.mask)
    try:
        with Image.open(path) as opened:
            has_alpha = "A" in opened.getbands() and opened.getchannel("A").getextrema()[0] < 255
            grey = np.asarray(opened.getchannel("A") if has_alpha else opened.convert("L"), np.float32) / 255
    except (OSError, ValueError, Image.DecompressionBombError) as exc:
        raise PersonError("person.mask-unreadable", f"The mask image {path.name} cannot be read.",
                          "Give a PNG of the same size as the photo, white where the person is.", str(exc)) from exc
    h, w = photo.rgb.shape[:2]
    if grey.shape != (h, w):
        if abs(grey.shape[1] / grey.shape[0] - w / h) > 0.01 * w / h:
            raise PersonError("person.mask-size",
                              f"The mask is {grey.shape[1]} x {grey.shape[0]} pixels, the photo {w} x {h}.",
                              "Give a mask of the same size as the photo.")
        context.warn("mask.resized", "The mask had another size than the photo and was resized.")
        grey = cv2.resize(grey, (w, h), interpolation=cv2.INTER_LINEAR if grey.shape[0] < h else cv2.INTER_AREA)
    whole = pose.mask_on(np.eye(3), (w, h)) > 0.7
    if not whole.any() or float((grey[whole] > 0.5).mean()) < 0.3:
        raise PersonError("person.mask-mismatch", "The mask does not cover the person that was found.",
                          "Make the mask white where the person is and black elsewhere, or choose another person.")
    return grey


def _warnings(result: Person, photo: Photo, person: people.Found, inside_photo: np.ndarray, context: Context,
              config: PersonConfig) -> None:
    """Tell the person what was guessed or is hard about this photo."""
    if len(result.boxes) > 1:
        by_hand = context.options.person is not None or context.options.person_at is not None
        which = f"number {result.chosen} was taken, as asked" if by_hand else "the largest was taken"
        context.warn("person.several", f"{len(result.boxes)} people were found; {which}.")
    lost = describe.cut_off(inside_photo)
    if result.framing == "face":
        context.warn("person.only-head", "The photo shows only head and shoulders; the body below is a guess.")
    elif lost:
        context.warn("person.cut-off", f"The photo does not show {describe.joined(lost)}; this is a guess.")
    if result.facing == "back":
        context.warn("person.from-behind", "The person is seen from behind; face and front are a guess.")
    elif result.face is None:
        context.warn("person.no-face", "The face cannot be seen well; its shape is a guess.")
    if person.spread > people.FindConfig.sure_spread and result.framing in ("full", "knees"):
        context.warn("person.pose-unsure", "The pose is hard to see in this photo; it may be wrong.")
    if (person.box[2:] - person.box[:2]).max() < config.small_part * context.sizes.canvas:
        context.warn("person.small", "The person is small in this photo; little detail can be had.")
    body = result.crop[result.mask > 0.5]
    if len(body) and np.percentile(body.max(-1), 95) < config.dark_level:
        context.warn("photo.dark", "The person is very dark in this photo; shape and colours are less sure.")
    sample = photo.rgb[:: max(photo.rgb.shape[0] // 256, 1), :: max(photo.rgb.shape[1] // 256, 1)].astype(np.int16)
    if np.percentile(np.abs(np.diff(sample, axis=-1)), 99) < config.grey_chroma:
        context.warn("photo.greyscale", "The photo is black and white; so the texture will be.")
    if not (result.mask > 0.5).any():
        context.warn("mask.empty", "No outline of the person could be found in this photo.")
