"""The material: Principled BSDF with the albedo (sRGB) and the normal map (Non-Color), images packed."""

from __future__ import annotations

from pathlib import Path

import bpy

from . import compat

ROUGHNESS = 0.75           # cloth and skin lie between 0.5 and 0.9; light is already in the photo, so no shine on top
SPECULAR = 0.3             # a little below Blender's 0.5: dielectric cloth
SUBSURFACE_SCALE_M = 0.005  # 5.2's default; 4.2-5.0 have 0.05, which would smear a face


def _image(path: Path, name: str, colorspace: str) -> bpy.types.Image:
    image = bpy.data.images.load(str(path), check_existing=False)
    image.name = name
    image.colorspace_settings.name = colorspace
    image.pack()
    image.filepath_raw = f"//{name}.png"    # packed; the job's folder is temporary, so no path into it stays
    for packed in image.packed_files:
        packed.filepath = f"//{name}.png"
    return image


def new_material(name: str, albedo: Path | None, normal_map: Path | None) -> bpy.types.Material:
    """Material of a person. Without an albedo file the vertex colours are used."""
    material = bpy.data.materials.new(name)
    tree = compat.use_nodes(material)
    nodes, links = tree.nodes, tree.links
    shader = next((n for n in nodes if n.type == "BSDF_PRINCIPLED"), None) or nodes.new("ShaderNodeBsdfPrincipled")
    output = next((n for n in nodes if n.type == "OUTPUT_MATERIAL"), None) or nodes.new("ShaderNodeOutputMaterial")
    links.new(shader.outputs["BSDF"], output.inputs["Surface"])
    compat.set_socket(shader, ("Roughness",), ROUGHNESS)
    compat.set_socket(shader, ("Specular IOR Level", "Specular"), SPECULAR)
    compat.set_socket(shader, ("Metallic",), 0.0)
    compat.set_socket(shader, ("Subsurface Weight", "Subsurface"), 0.0)
    compat.set_socket(shader, ("Subsurface Scale",), SUBSURFACE_SCALE_M)

    if albedo is not None:
        color = nodes.new("ShaderNodeTexImage")
        color.image = _image(albedo, f"{name} albedo", "sRGB")
        color.label, color.location = "Albedo", (-640, 300)
    else:
        color = nodes.new("ShaderNodeVertexColor")
        color.layer_name = "Color"
        color.location = (-640, 300)
    links.new(color.outputs["Color"], shader.inputs["Base Color"])

    if normal_map is not None:
        picture = nodes.new("ShaderNodeTexImage")
        picture.image = _image(normal_map, f"{name} normal", "Non-Color")
        picture.label, picture.location = "Normal map", (-640, -80)
        bend = nodes.new("ShaderNodeNormalMap")
        bend.uv_map, bend.location = "UVMap", (-300, -80)
        links.new(picture.outputs["Color"], bend.inputs["Color"])
        links.new(bend.outputs["Normal"], shader.inputs["Normal"])
    return material
