//! The kinds of fruit: shape and skin of each.

use super::body::{Round, Shape, Top};

/// One kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) top: Top,
    pub(super) skin: Skin,
    /// Size in the picture beside other kinds.
    pub(super) size: f32,
}

/// Colours (sRGB) and finish of a skin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Skin {
    /// A specimen's colour lies between these two.
    pub(super) base: (u32, u32),
    /// Colour of the sunny side, and how much of it.
    pub(super) blush: (u32, f32),
    /// Drawing on the skin.
    pub(super) pattern: Pattern,
    /// Colour, number per unit length, and size of spots; no spots if the size is 0.
    pub(super) spots: (u32, f32, f32),
    /// 0 matt … 1 polished.
    pub(super) gloss: f32,
    /// Pale fur at the edge: peach, kiwi.
    pub(super) fur: f32,
    /// Height and number per unit length of pores and bumps.
    pub(super) bump: (f32, f32),
}

/// Drawing on a skin, beyond blush and spots.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pattern {
    Plain,
    /// Fine lines from pole to pole.
    Streaks(u32),
    /// Jagged bands from pole to pole.
    Bands(u32),
    /// Eyes in a spiral lattice.
    Eyes(u32),
    /// Pits with seeds in a lattice.
    Seeds(u32),
    /// Dark ends and age marks of a banana.
    Ends(u32),
}

const MATT: Skin = Skin {
    base: (0, 0),
    blush: (0, 0.0),
    pattern: Pattern::Plain,
    spots: (0, 0.0, 0.0),
    gloss: 0.3,
    fur: 0.0,
    bump: (0.0, 0.0),
};
const BALL: Round = Round::BALL;
const APPLE: Round =
    Round { wide: 0.95, tall: 0.9, top: 0.3, bottom: 0.16, taper: 0.09, ribs: (5.0, 0.012), ..BALL };
const STEM: Top = Top { stem: (0.34, 0.035), leaf: true, ..Top::NONE };
const STUB: Top = Top { stem: (0.06, 0.06), leaf: true, ..Top::NONE };

/// All kinds, in the order of their names.
pub(super) static KINDS: [Kind; 20] = [
    kind(
        "Apple Green",
        Shape::Round(APPLE),
        STEM,
        Skin {
            base: (0x7fb02a, 0xa9c83f),
            blush: (0xd9c65a, 0.25),
            spots: (0xdde8a8, 9.0, 0.10),
            gloss: 0.6,
            ..MATT
        },
        0.95,
    ),
    kind(
        "Apple Red",
        Shape::Round(APPLE),
        STEM,
        Skin {
            base: (0xb01c1e, 0x8c1019),
            blush: (0xd8a33c, 0.3),
            pattern: Pattern::Streaks(0xe0762e),
            spots: (0xe8c090, 9.0, 0.09),
            gloss: 0.7,
            ..MATT
        },
        0.95,
    ),
    kind(
        "Banana",
        Shape::Banana,
        Top::NONE,
        Skin {
            base: (0xf0cf2b, 0xe3c53e),
            blush: (0xb9c444, 0.2),
            pattern: Pattern::Ends(0x4a3413),
            spots: (0x6b4216, 5.0, 0.15),
            gloss: 0.3,
            ..MATT
        },
        1.0,
    ),
    kind(
        "Blueberry",
        Shape::Round(Round { wide: 0.9, tall: 0.8, ring: 0.13, ..BALL }),
        Top::NONE,
        Skin { base: (0x39456f, 0x2b3157), blush: (0x8d9cc4, 0.55), gloss: 0.15, bump: (0.006, 9.0), ..MATT },
        0.72,
    ),
    kind(
        "Cherry",
        Shape::Pair,
        Top::NONE,
        Skin { base: (0x8e0f1f, 0x5c0a18), blush: (0xc2262c, 0.3), gloss: 1.0, ..MATT },
        0.95,
    ),
    kind(
        "Grape Blue",
        Shape::Bunch,
        Top { stem: (0.3, 0.04), ..Top::NONE },
        Skin { base: (0x37274f, 0x2c2346), blush: (0x7d77a8, 0.4), gloss: 0.45, ..MATT },
        1.0,
    ),
    kind(
        "Grape White",
        Shape::Bunch,
        Top { stem: (0.3, 0.04), ..Top::NONE },
        Skin { base: (0xb9c65a, 0xa8b846), blush: (0xd9cf78, 0.3), gloss: 0.6, ..MATT },
        1.0,
    ),
    kind(
        "Kiwi",
        Shape::Round(Round { wide: 0.74, tall: 0.95, bottom: 0.03, ..BALL }),
        Top { stem: (0.03, 0.09), ..Top::NONE },
        Skin {
            base: (0x7a5a31, 0x6a4c28),
            blush: (0x93733f, 0.4),
            spots: (0x4d3519, 14.0, 0.22),
            gloss: 0.05,
            fur: 0.35,
            bump: (0.014, 16.0),
            ..MATT
        },
        0.88,
    ),
    kind(
        "Lemon",
        Shape::Round(Round { wide: 0.7, tall: 0.82, tip: 0.16, ..BALL }),
        STUB,
        Skin { base: (0xf3d32a, 0xe9c71f), blush: (0xcfd247, 0.25), gloss: 0.4, bump: (0.012, 13.0), ..MATT },
        0.92,
    ),
    kind(
        "Lime",
        Shape::Round(Round { wide: 0.76, tall: 0.84, tip: 0.07, ..BALL }),
        STUB,
        Skin { base: (0x4c7f22, 0x5f942c), blush: (0xa6b84a, 0.25), gloss: 0.5, bump: (0.011, 14.0), ..MATT },
        0.86,
    ),
    kind(
        "Mango",
        Shape::Round(Round { wide: 0.72, tall: 0.98, taper: -0.14, seam: 0.03, ..BALL }),
        Top { stem: (0.05, 0.06), ..Top::NONE },
        Skin {
            base: (0xe3a32b, 0xd8892c),
            blush: (0xbb3326, 0.75),
            spots: (0xf0d28a, 11.0, 0.10),
            gloss: 0.45,
            ..MATT
        },
        0.98,
    ),
    kind(
        "Orange",
        Shape::Round(Round { wide: 0.9, tall: 0.86, top: 0.04, ..BALL }),
        STUB,
        Skin {
            base: (0xee8414, 0xe8731a),
            blush: (0xf2a22c, 0.25),
            gloss: 0.45,
            bump: (0.014, 15.0),
            ..MATT
        },
        0.95,
    ),
    kind(
        "Peach",
        Shape::Round(Round { wide: 0.92, tall: 0.88, top: 0.2, seam: 0.09, ..BALL }),
        Top { stem: (0.03, 0.05), ..Top::NONE },
        Skin {
            base: (0xeeb065, 0xe8a05c),
            blush: (0xb93a35, 0.6),
            gloss: 0.08,
            fur: 0.4,
            bump: (0.004, 20.0),
            ..MATT
        },
        0.93,
    ),
    kind(
        "Pear",
        Shape::Pear,
        Top { stem: (0.3, 0.04), leaf: true, ..Top::NONE },
        Skin {
            base: (0xb9b544, 0xc9b24a),
            blush: (0xb9843c, 0.3),
            spots: (0x80692c, 12.0, 0.12),
            gloss: 0.3,
            ..MATT
        },
        1.0,
    ),
    kind(
        "Pineapple",
        Shape::Round(Round { wide: 0.56, tall: 0.68, ..BALL }),
        Top { crown: 4, ..Top::NONE },
        Skin {
            base: (0xb07f2a, 0xa86f24),
            blush: (0x7c7a30, 0.4),
            pattern: Pattern::Eyes(0x56381a),
            gloss: 0.2,
            ..MATT
        },
        1.0,
    ),
    kind(
        "Plum",
        Shape::Round(Round { wide: 0.78, tall: 0.92, top: 0.07, seam: 0.06, ..BALL }),
        Top { stem: (0.2, 0.03), ..Top::NONE },
        Skin { base: (0x4b2246, 0x5b2540), blush: (0x8b86ac, 0.45), gloss: 0.3, ..MATT },
        0.86,
    ),
    kind(
        "Raspberry",
        Shape::Drupelets,
        Top { sepals: (5, 0.45), stem: (0.2, 0.03), ..Top::NONE },
        Skin { base: (0xb81f3c, 0xc93350), blush: (0xdb6473, 0.3), gloss: 0.5, ..MATT },
        0.85,
    ),
    kind(
        "Strawberry",
        Shape::Round(Round { wide: 0.72, tall: 0.92, top: 0.12, taper: 0.34, ..BALL }),
        Top { sepals: (8, 0.55), stem: (0.25, 0.03), ..Top::NONE },
        Skin {
            base: (0xc9161e, 0xb90f1c),
            blush: (0xe27a52, 0.15),
            pattern: Pattern::Seeds(0xe8c35a),
            gloss: 0.75,
            ..MATT
        },
        0.88,
    ),
    kind(
        "Tomato",
        Shape::Round(Round { wide: 0.95, tall: 0.76, top: 0.14, bottom: 0.03, ribs: (6.0, 0.02), ..BALL }),
        Top { sepals: (5, 0.5), stem: (0.22, 0.035), ..Top::NONE },
        Skin { base: (0xc6281a, 0xd23a1e), blush: (0xdb6a2a, 0.2), gloss: 0.85, ..MATT },
        0.93,
    ),
    kind(
        "Watermelon",
        Shape::Round(Round { wide: 0.9, tall: 1.0, bottom: 0.02, ..BALL }),
        Top { stem: (0.1, 0.045), ..Top::NONE },
        Skin {
            base: (0x7da653, 0x8fb061),
            blush: (0xb8b46a, 0.15),
            pattern: Pattern::Bands(0x1d4420),
            gloss: 0.45,
            ..MATT
        },
        1.05,
    ),
];

const fn kind(name: &'static str, shape: Shape, top: Top, skin: Skin, size: f32) -> Kind {
    Kind { name, shape, top, skin, size }
}
