"""Procedural surfaces: cloth, fur, wood, plastic, soil, leaves, lettering. No image files anywhere."""

from collections.abc import Sequence

import bpy

Colour = Sequence[float]  # linear red, green, blue in 0..1


class Surface:
    """A material under construction: `add` makes a node whose inputs are numbers, colours or other nodes' outputs."""

    def __init__(self, name: str):
        self.material = bpy.data.materials.new(name)
        self.material.use_nodes = True
        self.nodes, self.links = self.material.node_tree.nodes, self.material.node_tree.links
        self.nodes.clear()
        self.end = self.nodes.new("ShaderNodeOutputMaterial")

    def add(self, kind: str, settings: dict | None = None, **inputs):
        """A node of type `ShaderNode<kind>`; an input's name is written with _ for a blank, `i0` means input 0."""
        node = self.nodes.new(f"ShaderNode{kind}")
        for key, value in (settings or {}).items():
            setattr(node, key, value)
        for key, value in inputs.items():
            numbered = key[0] == "i" and key[1:].isdigit()
            socket = node.inputs[int(key[1:]) if numbered else key.replace("_", " ")]
            if isinstance(value, bpy.types.NodeSocket):
                self.links.new(value, socket)
            elif socket.type == "RGBA" and not isinstance(value, float | int):
                socket.default_value = (*value, 1)[:4]
            else:
                socket.default_value = value
        return node

    def finish(self, output) -> bpy.types.Material:
        """Connects the last shader and returns the material."""
        self.links.new(output, self.end.inputs["Surface"])
        return self.material

    # --- small parts that most surfaces share

    def where(self, scale: Sequence[float] = (1, 1, 1), turn: Sequence[float] = (0, 0, 0)):
        """Coordinates fixed to the object, scaled and turned."""
        place = self.add("TexCoord").outputs["Object"]
        return self.add("Mapping", Vector=place, Scale=scale, Rotation=turn).outputs[0]

    def noise(self, scale: float, detail: float = 6, vector=None, rough: float = 0.55, distortion: float = 0):
        vector = vector or self.where()
        return self.add("TexNoise", Vector=vector, Scale=scale, Detail=detail, Roughness=rough, Distortion=distortion).outputs[
            0
        ]

    def ramp(self, value, stops: Sequence[tuple[float, Colour]]):
        """A colour by a value: stops are (position, colour)."""
        node = self.add("ValToRGB", Fac=value)
        elements = node.color_ramp.elements
        while len(elements) < len(stops):
            elements.new(0.5)
        for element, (position, colour) in zip(elements, stops, strict=True):
            element.position, element.color = position, (*colour, 1)
        return node.outputs[0]

    def mix(self, share, first, second, blend: str = "MIX"):
        return self.add("MixRGB", {"blend_type": blend}, Fac=share, Color1=first, Color2=second).outputs[0]

    def math(self, operation: str, first, second=0.0):
        return self.add("Math", {"operation": operation}, i0=first, i1=second).outputs[0]

    def bump(self, height, strength: float, distance: float = 0.02):
        return self.add("Bump", Height=height, Strength=strength, Distance=distance).outputs[0]


def worn(colour, surface: Surface, amount: float = 0.35, scale: float = 4.0):
    """The colour with cloudy dirt and fading, so that no surface has one flat tone."""
    cloud = surface.ramp(surface.noise(scale, 8), [(0.3, (0.45, 0.42, 0.4)), (0.7, (1, 1, 1))])
    return surface.mix(amount, colour, cloud, "MULTIPLY")


def pattern(surface: Surface, kind: str, first: Colour, second: Colour, scale: float):
    """The colour of a print: 'plain', 'checks', 'stripes', 'rings', 'dots', 'plaid' or 'patches'."""
    place = surface.where()
    if kind == "checks":
        value = surface.add("TexChecker", Vector=place, Scale=scale).outputs["Fac"]
    elif kind in ("stripes", "rings"):
        axis = {"bands_direction": "X" if kind == "stripes" else "Z"}
        value = surface.add("TexWave", axis, Vector=place, Scale=scale, Distortion=0.25).outputs["Fac"]
    elif kind == "dots":
        cells = surface.add("TexVoronoi", Vector=place, Scale=scale, Randomness=0.35)
        value = surface.math("LESS_THAN", cells.outputs["Distance"], 0.3)
    elif kind == "plaid":
        waves = [surface.add("TexWave", {"bands_direction": axis}, Vector=place, Scale=scale).outputs["Fac"] for axis in "XY"]
        steps = [surface.math("GREATER_THAN", wave, 0.62) for wave in waves]
        value = surface.math("MULTIPLY", surface.math("ADD", *steps), 0.5)
    elif kind == "patches":
        value = surface.ramp(surface.noise(scale, 2, distortion=0.6), [(0.5, (0, 0, 0)), (0.54, (1, 1, 1))])
    else:
        value = surface.noise(scale, 4)
    stops = [(0.46, first), (0.54, second)] if kind in ("stripes", "rings") else [(0.0, first), (1.0, second)]
    return surface.ramp(value, stops)


def cloth(name: str, kind: str, first: Colour, second: Colour, scale: float = 6, weave: float = 90):
    """A woven or knitted print."""
    s = Surface(name)
    colour = worn(pattern(s, kind, first, second, scale), s, 0.4)
    threads = [
        s.add("TexWave", {"bands_direction": axis}, Vector=s.where(), Scale=weave, Distortion=1.0, Detail=1.0).outputs["Fac"]
        for axis in "XZ"
    ]
    height = s.math("ADD", s.math("MULTIPLY", *threads), s.math("MULTIPLY", s.noise(18, 4), 1.2))
    colour = s.mix(0.35, colour, s.ramp(height, [(0.3, (0.5, 0.5, 0.5)), (1.2, (1, 1, 1))]), "MULTIPLY")
    return s.finish(
        s.add("BsdfPrincipled", Base_Color=colour, Roughness=0.95, Sheen_Weight=0.4, Normal=s.bump(height, 0.5, 0.01)).outputs[
            0
        ]
    )


def wood(name: str, light: Colour, dark: Colour, scale: float = 2.0, gloss: float = 0.5, axis: int = 0, wear: float = 0.4):
    """Planed wood with its grain along an axis (0, 1, 2); every object of the material has its own grain."""
    s = Surface(name)
    stretch = [scale * 6.0] * 3
    stretch[axis] = scale * 0.45
    chance = s.add("ObjectInfo").outputs["Random"]
    shift = s.add("CombineXYZ", X=s.math("MULTIPLY", chance, 37.0), Y=s.math("MULTIPLY", chance, 11.0), Z=chance).outputs[0]
    place = s.add("VectorMath", {"operation": "ADD"}, i0=s.where(stretch), i1=shift).outputs[0]
    rings = s.noise(1.0, 3, place, distortion=1.2)
    lines = s.math("FRACT", s.math("MULTIPLY", rings, 9.0))
    fibre = s.noise(9.0, 6, place)
    value = s.math("ADD", s.math("MULTIPLY", lines, 0.6), s.math("MULTIPLY", fibre, 0.5))
    colour = s.ramp(value, [(0.2, dark), (0.85, light)])
    tone = s.ramp(chance, [(0, (0.75, 0.72, 0.7)), (1, (1.1, 1.08, 1.05))])
    colour = worn(s.mix(0.8, colour, tone, "MULTIPLY"), s, wear, 1.5)
    return s.finish(
        s.add("BsdfPrincipled", Base_Color=colour, Roughness=1 - gloss, Normal=s.bump(value, 0.15, 0.01)).outputs[0]
    )


def paint(name: str, colour: Colour, under: Colour = (0.35, 0.22, 0.12), gloss: float = 0.6, chips: float = 0.12):
    """Painted wood, chipped here and there down to the wood; chips 0 is new."""
    s = Surface(name)
    lost = s.ramp(s.noise(7, 9, rough=0.65), [(0.36 + chips - 0.02, (1, 1, 1)), (0.36 + chips, (0, 0, 0))])
    tone = worn(s.mix(0.25, colour, s.noise(30, 3), "OVERLAY"), s, 0.3, 3)
    base = s.mix(lost, tone, under)
    return s.finish(
        s.add(
            "BsdfPrincipled", Base_Color=base, Roughness=1 - gloss, Coat_Weight=0.3, Normal=s.bump(s.noise(25, 4), 0.08)
        ).outputs[0]
    )


def plastic(
    name: str,
    colour: Colour,
    rough: float = 0.25,
    glow: float = 0.15,
    second: Colour | None = None,
    kind: str = "plain",
    scale: float = 6,
):
    """Moulded plastic or rubber, with light scattered inside, dust and fine scratches."""
    s = Surface(name)
    base = pattern(s, kind, colour, second, scale) if second else s.mix(0.12, colour, s.noise(5, 3), "OVERLAY")
    dust = s.noise(11, 9)
    base = worn(base, s, 0.25, 6)
    gloss = s.math("ADD", s.math("MULTIPLY", dust, 0.3), rough - 0.1)
    return s.finish(
        s.add(
            "BsdfPrincipled",
            Base_Color=base,
            Roughness=gloss,
            Subsurface_Weight=glow,
            Subsurface_Radius=(0.05, 0.03, 0.02),
            Normal=s.bump(dust, 0.04),
        ).outputs[0]
    )


def metal(name: str, colour: Colour = (0.55, 0.55, 0.56), rough: float = 0.3):
    s = Surface(name)
    return s.finish(
        s.add(
            "BsdfPrincipled",
            Base_Color=worn(s.mix(0, colour, colour), s, 0.4, 8),
            Metallic=1.0,
            Roughness=s.math("ADD", s.math("MULTIPLY", s.noise(20, 6), 0.3), rough - 0.1),
        ).outputs[0]
    )


def soil(name: str, colours: Sequence[Colour], scale: float = 1.5, strength: float = 0.7):
    """Earth, sand, stone or concrete: three colours in clouds of several sizes."""
    s = Surface(name)
    large, fine = s.noise(scale, 6, distortion=0.4), s.noise(scale * 14, 10, rough=0.7)
    value = s.math("ADD", s.math("MULTIPLY", large, 0.65), s.math("MULTIPLY", fine, 0.35))
    colour = s.ramp(value, list(zip((0.34, 0.5, 0.64), colours, strict=True)))
    return s.finish(
        s.add(
            "BsdfPrincipled", Base_Color=colour, Roughness=0.95, Normal=s.bump(s.math("ADD", large, fine), strength, 0.05)
        ).outputs[0]
    )


def attribute_cloth(name: str, weave: float = 60):
    """Short plush under the fur: the colour comes from the mesh's attribute `colour`."""
    s = Surface(name)
    colour = s.add("Attribute", {"attribute_name": "colour"}).outputs["Color"]
    grain = s.noise(weave, 4)
    colour = s.mix(0.5, colour, s.ramp(grain, [(0.3, (0.35, 0.35, 0.35)), (0.7, (1, 1, 1))]), "MULTIPLY")
    return s.finish(
        s.add("BsdfPrincipled", Base_Color=colour, Roughness=1.0, Sheen_Weight=0.3, Normal=s.bump(grain, 0.6)).outputs[0]
    )


def strands(name: str, gloss: float = 0.12):
    """Fur: colour by strand, shaded by the normal of the skin under it, darker at the root."""
    s = Surface(name)
    colour = s.add("Attribute", {"attribute_name": "colour"}).outputs["Color"]
    along = s.add("HairInfo").outputs["Intercept"]
    colour = s.mix(1.0, colour, s.ramp(along, [(0.0, (0.55, 0.5, 0.48)), (0.9, (1.08, 1.08, 1.08))]), "MULTIPLY")
    skin = s.add("Attribute", {"attribute_name": "skin"}).outputs["Vector"]
    skin = s.add(
        "VectorTransform", {"vector_type": "NORMAL", "convert_from": "OBJECT", "convert_to": "WORLD"}, Vector=skin
    ).outputs[0]
    soft = s.add("BsdfDiffuse", Color=colour, Normal=skin).outputs[0]
    shine = s.add("BsdfHair", {"component": "Reflection"}, Color=(0.9, 0.88, 0.85), RoughnessU=0.35, RoughnessV=0.6).outputs[0]
    return s.finish(s.add("MixShader", Fac=gloss, i1=soft, i2=shine).outputs[0])


def leaf(name: str, through: float = 0.35):
    """Grass and leaves: the colour comes from the attribute `colour`; some light passes through."""
    s = Surface(name)
    colour = s.add("Attribute", {"attribute_name": "colour"}).outputs["Color"]
    front = s.add("BsdfPrincipled", Base_Color=colour, Roughness=0.55, Specular_IOR_Level=0.3).outputs[0]
    bright = s.mix(1.0, colour, (1.3, 1.5, 0.6), "MULTIPLY")
    back = s.add("BsdfTranslucent", Color=bright).outputs[0]
    return s.finish(s.add("MixShader", Fac=through, i1=front, i2=back).outputs[0])


def tiles(
    name: str,
    first: Colour,
    second: Colour,
    mortar: Colour,
    scale: float = 1.0,
    width: float = 0.5,
    height: float = 0.25,
    gloss: float = 0.2,
):
    """Bricks, paving or floor boards in rows."""
    s = Surface(name)
    node = s.add(
        "TexBrick",
        {"offset": 0.5},
        Vector=s.where(),
        Color1=first,
        Color2=second,
        Mortar=mortar,
        Scale=scale,
        Mortar_Size=0.012,
        Mortar_Smooth=0.3,
        Bias=0.0,
        Brick_Width=width,
        Row_Height=height,
    )
    grain = s.noise(14, 9, rough=0.65)
    colour = s.mix(0.55, node.outputs["Color"], s.ramp(grain, [(0.3, (0.4, 0.4, 0.4)), (0.7, (1, 1, 1))]), "MULTIPLY")
    deep = s.math("SUBTRACT", s.math("MULTIPLY", grain, 0.35), node.outputs["Fac"])
    return s.finish(
        s.add(
            "BsdfPrincipled", Base_Color=worn(colour, s, 0.5, 0.8), Roughness=1 - gloss, Normal=s.bump(deep, 0.6, 0.02)
        ).outputs[0]
    )


def water(name: str, colour: Colour = (0.02, 0.10, 0.12), ripple: float = 2.2):
    """A pond's surface with ripples; `phase` (Mapping's Location z) may be animated."""
    s = Surface(name)
    place = s.add("Mapping", Vector=s.add("TexCoord").outputs["Object"])
    place.name = "phase"
    large, small = s.noise(ripple, 3, place.outputs[0]), s.noise(ripple * 5, 3, place.outputs[0])
    height = s.math("ADD", large, s.math("MULTIPLY", small, 0.25))
    tone = s.ramp(s.noise(0.7, 3), [(0.3, colour), (0.7, [1.8 * c for c in colour])])
    return s.finish(
        s.add(
            "BsdfPrincipled",
            Base_Color=tone,
            Roughness=0.06,
            IOR=1.33,
            Specular_IOR_Level=0.7,
            Normal=s.bump(height, 0.8, 0.16),
        ).outputs[0]
    )


def light(name: str, colour: Colour, strength: float):
    s = Surface(name)
    return s.finish(s.add("Emission", Color=colour, Strength=strength).outputs[0])
