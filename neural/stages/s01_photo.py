"""s01: an image file becomes an upright 8-bit sRGB photo."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageOps

from ..context import Context
from ..contract.errors import LikenessError, PhotoError

NAME = "s01_photo"


@dataclass(frozen=True)
class Photo:
    """Frame `photo`.

    rgb       (H, W, 3) uint8, sRGB, upright, the embedded profile applied.
    alpha     (H, W) uint8 when the file has a matte that is not opaque everywhere, else None.
    focal_px  focal length in pixels of this photo from EXIF, or None.
    """

    name: str
    rgb: np.ndarray
    alpha: np.ndarray | None
    focal_px: float | None
    method: str = "pillow"


@dataclass(frozen=True)
class PhotoConfig:
    """Limits of what is read."""

    max_pixels: int = 100_000_000   # judged from the header, before anything is decoded
    min_side: int = 32              # pixels; the pose detector's own cells are 8 of 224
    matte_grey: int = 128           # what shows through a transparent file: neither dark nor light clothes vanish in it


FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF", "BMP", "GIF")
"""What is tried: photo formats only, so that no exotic decoder of Pillow meets a hostile file."""

_READABLE = "Use a JPEG, PNG, WebP, TIFF or HEIC photo."


def read_photo(path: Path, context: Context, config: PhotoConfig = PhotoConfig()) -> Photo:
    """Read one photo. Raises PhotoError: photo.missing, .permission, .not-an-image, .truncated, .too-small,
    .too-large, .unreadable. Full resolution is kept."""
    path = Path(path)
    heif = _register_heif()
    try:
        if path.is_dir():
            raise PhotoError("photo.not-an-image", f"{path.name} is a folder, not a photo.", _READABLE)
        # read the whole file first: later errors are then about its contents, not about the disk
        data = path.read_bytes()
    except FileNotFoundError as exc:
        raise PhotoError("photo.missing", f"There is no file {path.name}.",
                         "Check the path; the photo may have been moved or renamed.", str(exc)) from exc
    except PermissionError as exc:
        raise PhotoError("photo.permission", f"The file {path.name} may not be read.",
                         "Give yourself permission to read it, or copy it to a folder of your own.", str(exc)) from exc
    except OSError as exc:
        raise PhotoError("photo.unreadable", f"The file {path.name} cannot be read from the disk.",
                         "Copy it to a local folder and try again.", str(exc)) from exc
    image = _open(path.name, data, heif, config)
    try:
        return _to_photo(path.stem, image, context, config)
    except MemoryError as exc:
        raise PhotoError("photo.too-large", f"There is not enough memory for {path.name}.",
                         "Make the photo smaller, or close other programs.", str(exc)) from exc
    except LikenessError:
        raise
    except Exception as exc:                          # a damaged file may fail in any way inside its decoder
        raise PhotoError("photo.truncated", f"The photo {path.name} is damaged or not complete.",
                         "Copy or download it again.", str(exc)) from exc


def _open(name: str, data: bytes, heif: bool, config: PhotoConfig) -> Image.Image:
    """Header only: format and size are judged before decoding."""
    if not data:
        raise PhotoError("photo.truncated", f"The file {name} is empty.", "Copy or download it again.")
    Image.init()        # all plugins, so that Image.OPEN is complete
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=[f for f in FORMATS if f in Image.OPEN])
    except Image.DecompressionBombError as exc:
        raise _too_large(name, None, config) from exc
    except Exception as exc:                          # UnidentifiedImageError, or whatever a decoder meets in the header
        if not heif and data[4:8] == b"ftyp":
            raise PhotoError("photo.no-heic", f"{name} is a HEIC photo, and the library that reads them is missing.",
                             "Save it as JPEG or PNG, or set up the engine again.") from exc
        head = data[:16]
        known = head.startswith((b"\xff\xd8\xff", b"\x89PNG", b"II*\0", b"MM\0*")) or head[8:12] == b"WEBP"
        if known:
            raise PhotoError("photo.truncated", f"The photo {name} is damaged or not complete.",
                             "Copy or download it again.", str(exc)) from exc
        raise PhotoError("photo.not-an-image", f"{name} is not a photo that can be read.", _READABLE, str(exc)) from exc
    w, h = image.size
    if w * h > config.max_pixels:
        raise _too_large(name, image.size, config)
    if min(w, h) < config.min_side:
        raise PhotoError("photo.too-small", f"The photo {name} has only {w} x {h} pixels.",
                         "Use a photo in which the person is at least 300 pixels tall.")
    return image


def _too_large(name: str, size: tuple[int, int] | None, config: PhotoConfig) -> PhotoError:
    what = f"has {size[0]} x {size[1]} pixels" if size else "is far too large"
    return PhotoError("photo.too-large", f"The photo {name} {what}; the limit is {config.max_pixels // 1_000_000} "
                      "million pixels.", "Make it smaller in an image editor, or cut out the person.")


def _to_photo(stem: str, image: Image.Image, context: Context, config: PhotoConfig) -> Photo:
    """Decode, turn upright, convert to sRGB, take the matte off."""
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":      # MPO: a photo with previews or depth behind it
        context.warn("photo.several-frames", "The file holds several pictures; the first was taken.")
        image.seek(0)
    image.load()
    context.check()
    exif = image.getexif()
    profile = image.info.get("icc_profile")
    if "transparency" in image.info and image.mode in ("P", "L", "RGB", "1"):
        image = image.convert("RGBA")
    upright = ImageOps.exif_transpose(image)
    alpha = _alpha(upright)
    rgb = _srgb(upright, profile, context)
    if alpha is not None:
        rgb = _over_grey(rgb, alpha, config.matte_grey)
    return Photo(stem, np.ascontiguousarray(rgb), alpha, focal_pixels(exif, *upright.size))


def _alpha(image: Image.Image) -> np.ndarray | None:
    """(H, W) uint8, or None when there is none or it is opaque everywhere."""
    if image.mode not in ("RGBA", "RGBa", "LA", "La", "PA"):      # LAB has a band "A" too
        return None
    alpha = np.asarray(image.getchannel("A" if "A" in image.getbands() else "a"))
    return np.array(alpha) if alpha.min() < 255 else None


def _over_grey(rgb: np.ndarray, alpha: np.ndarray, grey: int) -> np.ndarray:
    """Lay a transparent picture over even grey, so that rubbish under the transparent pixels is never seen."""
    out = np.empty_like(rgb)
    for i in range(0, len(rgb), 512):        # in strips: a 100-megapixel photo must not need gigabytes
        a = alpha[i:i + 512, :, None].astype(np.uint16)
        out[i:i + 512] = (rgb[i:i + 512] * a + grey * (255 - a) + 127) // 255
    return out


def _srgb(image: Image.Image, profile: bytes | None, context: Context) -> np.ndarray:
    """(H, W, 3) uint8 sRGB of a decoded image of any mode."""
    image = _eight_bit(image)
    if image.mode in ("P", "1"):
        image = image.convert("RGB")
    elif image.mode in ("LA", "La"):
        image = image.getchannel("L")
    elif image.mode in ("RGBA", "RGBX"):
        image = Image.merge("RGB", image.split()[:3])
    elif image.mode == "RGBa":
        image = image.convert("RGBA").convert("RGB")
    if profile:
        converted = _apply_profile(image, profile, context)
        if converted is not None:
            return np.asarray(converted)
    elif image.mode == "LAB":
        return np.asarray(ImageCms.profileToProfile(image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"),
                                                    outputMode="RGB"))
    elif image.mode == "CMYK":
        context.warn("photo.cmyk", "The photo has printing colours without a profile; its colours are approximate.")
    return np.asarray(image.convert("RGB"))


def _eight_bit(image: Image.Image) -> Image.Image:
    """16-bit and float greys to 8 bits (Pillow would clip them)."""
    if image.mode in ("I;16", "I;16L", "I;16B", "I;16N", "I"):
        values = np.asarray(image).astype(np.int64)
        top = 65535 if values.max() > 255 or image.mode != "I" else 255
        return Image.fromarray(np.clip((values * 255 + top // 2) // top, 0, 255).astype(np.uint8))
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image, np.float32))
        top = 1.0 if values.max() <= 1 else 255.0 if values.max() <= 255 else 65535.0
        return Image.fromarray(np.clip(values / top * 255 + 0.5, 0, 255).astype(np.uint8))
    return image


def _apply_profile(image: Image.Image, profile: bytes, context: Context) -> Image.Image | None:
    """The image in sRGB by its embedded profile, or None (with a warning) when the profile does not fit."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space.strip()
        if {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK", "LAB": "Lab"}.get(image.mode) != space:
            if not (image.mode == "L" and space == "RGB"):
                raise ImageCms.PyCMSError(f"profile for {space} on an image of mode {image.mode}")
            image = image.convert("RGB")
        return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"),
                                         renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC, outputMode="RGB",
                                         flags=ImageCms.Flags.BLACKPOINTCOMPENSATION)
    except (ImageCms.PyCMSError, OSError, ValueError) as exc:
        context.warn("photo.profile", f"The colour profile of the photo cannot be used ({exc}); its colours are "
                     "taken as sRGB.")
        return None


def focal_pixels(exif: Image.Exif, width: int, height: int) -> float | None:
    """Focal length in pixels from EXIF, or None when the file does not say it soundly.

    FocalLengthIn35mmFilm is a diagonal field of view on a 36 x 24 mm frame. Otherwise FocalLength with the sensor's
    resolution, if its pixels are those of this photo (not resized since). width, height: the upright photo.
    """
    tags = exif.get_ifd(ExifTags.IFD.Exif)

    def number(tag: int) -> float:
        try:
            value = float(tags.get(tag, 0) or 0)
        except (TypeError, ValueError, ZeroDivisionError):
            return 0.0
        return value if np.isfinite(value) and value > 0 else 0.0

    diagonal = float(np.hypot(width, height))
    film = number(ExifTags.Base.FocalLengthIn35mmFilm)
    recorded = sorted((number(ExifTags.Base.ExifImageWidth), number(ExifTags.Base.ExifImageHeight)))
    if recorded[0] and abs(recorded[1] / recorded[0] - max(width, height) / min(width, height)) > 0.02:
        return None         # cropped since it was taken: neither the scale nor the middle is known
    focal = None
    if film:
        focal = film / float(np.hypot(36, 24)) * diagonal
    elif number(ExifTags.Base.FocalLength) and number(ExifTags.Base.FocalPlaneXResolution) and recorded[0]:
        unit_mm = {2: 25.4, 3: 10.0, 4: 1.0}.get(int(number(ExifTags.Base.FocalPlaneResolutionUnit) or 2))
        if unit_mm:
            per_mm = number(ExifTags.Base.FocalPlaneXResolution) / unit_mm
            focal = number(ExifTags.Base.FocalLength) * per_mm * max(width, height) / recorded[1]
    # between a 120 degree and a 2.5 degree diagonal: all else is a wrong tag
    return float(focal) if focal and 0.28 * diagonal < focal < 23 * diagonal else None


def _register_heif() -> bool:
    """True when HEIC files can be read."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener()
    return True
