//! What the cast talks about when nobody asks them anything.

/// A line: who (a place in the cast) and what.
pub(super) type Line = (usize, &'static str);

const ASH: usize = 0;
const BROOK: usize = 1;
const CEDAR: usize = 2;

/// Small talks, each to its end before the next.
pub(super) const TALKS: &[&[Line]] = &[
    &[
        (BROOK, "Did anybody hear an owl just now?"),
        (CEDAR, "That was me. Sorry."),
    ],
    &[
        (ASH, "The wood is dry tonight. It burns like paper."),
        (BROOK, "Then move your boots, they're smoking."),
    ],
    &[
        (CEDAR, "I found the old bridge. It's still standing."),
        (ASH, "Standing, or hanging?"),
        (CEDAR, "…hanging."),
    ],
    &[
        (BROOK, "Who took the last marshmallow?"),
        (ASH, "The forest provides, the forest takes."),
        (CEDAR, "Ash took it."),
    ],
    &[
        (ASH, "Three more nights and we reach the coast."),
        (BROOK, "You said that three nights ago."),
    ],
    &[
        (
            CEDAR,
            "If you stare at the embers long enough they look like a town at night.",
        ),
        (BROOK, "With very bad street lights."),
    ],
    &[
        (BROOK, "Tomorrow I'll fish. Properly, with a rod."),
        (CEDAR, "The fish will be relieved."),
    ],
];

/// The same with the writing of other places; only where there are fonts for it.
pub(super) const TALKS_IN_MANY_SCRIPTS: &[&[Line]] = &[
    &[
        (CEDAR, "晚上好!今晚的火真暖和。"),
        (BROOK, "مساء الخير يا أصدقاء"),
        (ASH, "Good evening in every language 🔥✨"),
    ],
    &[
        (BROOK, "Кто-нибудь видел мой чайник? ☕"),
        (CEDAR, "在我这儿,水快开了 😄"),
    ],
];

/// Lines for a long evening before the player came.
pub(super) const HISTORY: &[Line] = &[
    (ASH, "First one here. Lighting the fire."),
    (BROOK, "Brought bread and a pan."),
    (CEDAR, "Brought nothing, but I'm hungry."),
    (ASH, "Sit down, there's room."),
    (
        BROOK,
        "The path from the north is flooded again, you have to go round by the mill.",
    ),
    (CEDAR, "I know. My socks know too."),
    (ASH, "Put them near the fire. Not that near."),
];
