"""The rasteriser's kernel: which face is nearest and which is farthest at each pixel centre, in exact integers.

Vertices lie on a grid of 1/256 pixel, edge functions are whole numbers and follow the top-left rule, so a pixel centre on an edge
that two triangles share belongs to exactly one of them. Each candidate (face, pixel) becomes one int64, nearness above and face
below, and a pixel keeps the largest and the smallest: both surfaces in one pass, with nothing sorted per pixel. Faces with
equally large boxes are handled as one dense block (rows, columns, faces), faces innermost, so that all steps are plain
element-wise arithmetic, which rounds alike on CPU and CUDA.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

SUB = 256
"""Sub-pixel steps of a pixel."""
LIMIT = 2 ** 26
"""Largest sub-pixel coordinate (262144 pixels); faces that reach it are left out."""
EMPTY, FULL = -1, 2 ** 63 - 1
"""Keys of a pixel without any face: of the front-most, of the back-most."""

_SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096)
_SMALL = 64            # pixels: boxes up to here stay below 2^31 in int32
_LOW = 0xFFFFFFFF

Keep = Callable[[Tensor, Tensor], Tensor]
"""(faces (N,), edge functions (3, N) float32, >= 0, of the face's corners) -> (N,) bool: the fragment exists."""


def draw(x: Tensor, y: Tensor, near: Tensor, faces: Tensor, picture: Tensor, count: int, size: int, cut: Tensor | None = None,
         keep: Keep | None = None, back: bool = True) -> tuple[Tensor, Tensor]:
    """Keys (count * size * size,) int64 of the front-most and back-most face of each pixel.

    x, y (V,) int32 as `snap` gives them; near (V,) in [0, 1], linear on the screen, larger = nearer, negative = not drawn; faces
    (F, 3) int64; picture (F,) int64. cut (F,) bool: faces whose fragments exist only where `keep` says so. back=False: front only.
    A key holds the bits of 1 + 0.999 near as float32 above 2^32 - 1 - face; of equally near faces the front is the one with the
    smallest number, the back the one with the largest.
    """
    device = x.device
    front = torch.full((count * size * size,), EMPTY, dtype=torch.int64, device=device)
    last = torch.full_like(front, FULL) if back else front
    value = torch.where(near >= 0, 1 + 0.999 * near.double(), 0).to(torch.float32)
    cx, cy, cq = (t.index_select(0, faces.t().reshape(-1)).view(3, -1) for t in (x, y, value))
    low, wide, span_x = _box(cx, size)
    top, high, span_y = _box(cy, size)
    area = _cross(cx[1] - cx[0], cy[1] - cy[0], cx[2] - cx[0], cy[2] - cy[0])
    live = torch.nonzero((wide > 0) & (high > 0) & (area != 0) & (cq.amin(0) > 0) & (span_x >= 0) & (span_y >= 0)).view(-1)
    sizes = sorted({min(s, size) for s in (*_SIZES, size)})
    boxes = torch.tensor(sizes, device=device)
    bucket = torch.bucketize(torch.arange(size + 1, device=device), boxes)
    across, down = bucket[wide[live].long()], bucket[high[live].long()]
    kind = (down * len(sizes) + across) * 2 + (torch.maximum(span_x, span_y)[live] > _SMALL * SUB).long()
    kinds = 2 * len(sizes) ** 2
    if cut is not None:                                                # last: what opaque faces hide need not be asked for
        kind += cut[live].long() * kinds
    turn = torch.argsort(kind, stable=True)
    f, across, down = live[turn], across[turn], down[turn]
    left, up = torch.minimum(low[f].long(), size - boxes[across]), torch.minimum(top[f].long(), size - boxes[down])  # blocks stay on the canvas
    first = picture[f] * (size * size) + up * size + left
    start, dx, dy, q = _planes(*(c.index_select(1, f) for c in (cx, cy, cq)), area[f], left, up)
    label = _LOW - f
    pixels = torch.arange(size, device=device)
    begin = 0
    for k, n in enumerate(torch.bincount(kind).tolist()):
        if not n:
            continue
        rows, columns = (sizes[v] for v in divmod(k % kinds // 2, len(sizes)))
        whole = torch.int64 if k & 1 or max(rows, columns) > _SMALL else torch.int32
        step = max(1, (2 ** 24 if device.type == "cuda" else 2 ** 16) // (rows * columns))
        j, i = (torch.arange(m, dtype=whole, device=device)[:, None] for m in (rows, columns))
        grid = pixels[:rows, None, None] * size + pixels[None, :columns, None]
        for at in range(begin, begin + n, step):
            g = slice(at, min(at + step, begin + n))
            e = [(start[m, g].to(whole) + dx[m, g].to(whole) * j)[:, None] - (dy[m, g].to(whole) * i)[None] for m in range(3)]
            inside = (e[0] | e[1] | e[2]) >= 0
            near_here = q[0, g] + (e[1].to(torch.float32) * q[1, g] + e[2].to(torch.float32) * q[2, g])
            key = (near_here.view(torch.int32).long() << 32) + label[g]
            pixel = (grid + first[g]).view(-1)
            if k >= kinds:
                seen = inside.view(-1) & ((key.view(-1) > front[pixel]) | (key.view(-1) < last[pixel] if back else False))
                some = torch.nonzero(seen).view(-1)
                weight = torch.stack([t.reshape(-1)[some].to(torch.float32).clamp(min=0) for t in e])
                some = some[keep(f[g][some % (g.stop - at)], weight)]
                key, pixel, inside = key.view(-1)[some], pixel[some], torch.ones_like(some, dtype=torch.bool)
            front.scatter_reduce_(0, pixel, torch.where(inside, key, EMPTY).view(-1), "amax")
            if back:
                last.scatter_reduce_(0, pixel, torch.where(inside, key, FULL).view(-1), "amin")
        begin += n
    return front, last


def snap(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """(V, 2) pixels -> x, y (V,) int32 in 1/256 pixel; far away or not finite: the limit, which `draw` leaves out."""
    fixed = torch.round(torch.nan_to_num(pixels.double(), nan=float(LIMIT)) * SUB).clamp(-LIMIT, LIMIT).to(torch.int32)
    return fixed[:, 0].contiguous(), fixed[:, 1].contiguous()


def face_of(keys: Tensor) -> Tensor:
    """Faces (N,) int64 of keys that are not empty."""
    return _LOW - (keys & _LOW)


def nearness_of(keys: Tensor) -> Tensor:
    """(N,) float64: `near` of keys that are not empty, to 1e-7."""
    return ((keys >> 32).to(torch.int32).view(torch.float32).double() - 1) / 0.999


def weights(x: Tensor, y: Tensor, faces: Tensor, column: Tensor, row: Tensor) -> Tensor:
    """Exact edge functions (3, N) float64 >= 0 of faces (N, 3) at pixel centres inside them; their sum is twice the area."""
    ax, ay = x.long()[faces].t(), y.long()[faces].t()
    px, py = column * SUB + SUB // 2, row * SUB + SUB // 2
    pairs = ((1, 2), (2, 0), (0, 1))
    return torch.stack([_cross(ax[b] - ax[a], ay[b] - ay[a], px - ax[a], py - ay[a]) for a, b in pairs]).abs().double()


def _box(c: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """First pixel, number of pixels within the canvas, extent in sub-pixels (-1: beyond the limit) along one axis."""
    least, most = c.amin(0), c.amax(0)
    low = ((least + (SUB // 2 - 1)) >> 8).clamp(min=0)
    high = ((most - SUB // 2) >> 8).clamp(max=size - 1)
    beyond = (least <= -LIMIT) | (most >= LIMIT)
    return low, high - low + 1, torch.where(beyond, -1, most - least)


def _planes(cx: Tensor, cy: Tensor, cq: Tensor, area: Tensor, left: Tensor, up: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of n faces: three edge functions at the centre of pixel (left, up), >= 0 inside; their steps, one row down and one column left; and
    nearness: at corner 0, per unit of the edge functions 1 and 2. All (3, n).

    Edges that own no pixel (neither left nor top ones) are lowered by one: 1/65536 square pixel, a rounding error in nearness.
    """
    px, py = left * SUB + SUB // 2, up * SUB + SUB // 2
    cx, cy, sign = cx.long(), cy.long(), torch.sign(area)
    a, b = [1, 2, 0], [2, 0, 1]
    dx, dy = (cx[b] - cx[a]) * sign, (cy[b] - cy[a]) * sign
    start = dx * (py - cy[a]) - dy * (px - cx[a]) - (~((dy < 0) | ((dy == 0) & (dx > 0)))).long()
    one = 1 / area.abs().to(torch.float32)
    return start, dx * SUB, dy * SUB, torch.stack([cq[0], (cq[1] - cq[0]) * one, (cq[2] - cq[0]) * one])


def _cross(ax: Tensor, ay: Tensor, bx: Tensor, by: Tensor) -> Tensor:
    return ax.long() * by.long() - ay.long() * bx.long()
