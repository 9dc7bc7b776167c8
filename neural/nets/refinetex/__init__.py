"""RefineTex (Altindis et al. 2023): the whole body texture from one photo.

`texformer` and `refine` are the paper's networks, `compact` is ours, `door` is the way in.
"""
