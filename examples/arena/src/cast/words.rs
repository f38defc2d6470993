//! What the cast answers: by what the player's words are about, never twice the same in a row.

use crate::chance::Chance;

/// Words that name a subject, and what there is to say about it. `{name}` is the player, `{me}` who speaks.
struct Topic {
    about: &'static [&'static str],
    answers: &'static [&'static str],
}

const TOPICS: &[Topic] = &[
    Topic {
        about: &[
            "hello",
            "hi",
            "hey",
            "hallo",
            "evening",
            "greetings",
            "hola",
            "salut",
            "你好",
            "مرحبا",
        ],
        answers: &[
            "Hey {name}! Pull up a log.",
            "Evening, {name}. Good to see a new face.",
            "There you are, {name}. We kept you a warm spot.",
            "Hi {name}! Mind the sparks.",
        ],
    },
    Topic {
        about: &["bye", "goodbye", "night", "leaving", "later"],
        answers: &[
            "Safe travels, {name}.",
            "The fire will be here, {name}.",
            "Sleep well. I'll take the first watch.",
        ],
    },
    Topic {
        about: &["wasd", "walk", "move", "keys", "controls"],
        answers: &[
            "WASD or the arrows walk. Not while you write, luckily: \"wasd\" is just a word in here.",
            "You write, you stand still. You press Escape, you walk again.",
        ],
    },
    Topic {
        about: &["help", "how"],
        answers: &[
            "Enter opens the chat, Escape leaves it. Try /w {me} hello, that's just between us.",
            "Type /help and the chat tells you what it can do.",
        ],
    },
    Topic {
        about: &["fire", "warm", "cold", "wood", "log", "flame", "embers"],
        answers: &[
            "Birch burns bright, oak burns long. This one's oak.",
            "Closer, {name}. It doesn't bite. Much.",
            "Throw another log on, would you?",
        ],
    },
    Topic {
        about: &[
            "food",
            "hungry",
            "eat",
            "bread",
            "soup",
            "marshmallow",
            "marshmallows",
            "tea",
        ],
        answers: &[
            "There's soup. I won't say of what.",
            "Marshmallows are gone. Ask Ash.",
            "Bread's in the pan. Careful, hot.",
        ],
    },
    Topic {
        about: &["story", "tale", "legend", "dragon", "ghost"],
        answers: &[
            "Once there was a server that never lost a message. You're sitting on it.",
            "They say a dragon sleeps under this hill. It snores on Tuesdays.",
            "A long time ago this was all lag, as far as the eye could see…",
        ],
    },
    Topic {
        about: &["song", "sing", "music", "guitar"],
        answers: &[
            "♪ …and the packets came home in order… ♪",
            "Brook sings. We asked Brook to stop. Brook sings.",
        ],
    },
    Topic {
        about: &["server", "offline", "lag", "connection", "f5", "network"],
        answers: &[
            "Press F5 and the server is gone. Write something meanwhile: it goes out when it's back.",
            "Nothing said here gets lost. I've tried.",
        ],
    },
    Topic {
        about: &["thanks", "thank", "thx", "谢谢"],
        answers: &[
            "Any time, {name}.",
            "Don't mention it.",
            "That's what the fire is for.",
        ],
    },
    Topic {
        about: &["secret", "whisper"],
        answers: &[
            "Not so loud. Write /w {me} and then your secret.",
            "I hear nothing, I say nothing. Mostly.",
        ],
    },
    Topic {
        about: &["name", "who"],
        answers: &[
            "I'm {me}. You're {name}. That's a start.",
            "{me}, at your service.",
        ],
    },
];

const QUESTIONS: &[&str] = &[
    "Good question, {name}. The owl might know.",
    "Hm. Ask me again when the stars are out.",
    "I'd say yes. Probably. Unless it's no.",
];

const ANYTHING: &[&str] = &[
    "Ha! Well said, {name}.",
    "I'll remember that one.",
    "True words by a warm fire.",
    "Go on, {name}, I'm listening.",
    "The fire crackled. I think it agrees.",
];

const WHISPERS: &[&str] = &[
    "Between us: I'm glad you came, {name}.",
    "Psst. I won't tell anybody.",
    "Got it. Our secret.",
    "Whisper received, {name}. Nobody else saw it.",
];

/// An answer to `text`.
pub(super) fn answer(
    chance: &mut Chance,
    text: &str,
    me: &str,
    name: &str,
    whispered: bool,
    last: &str,
) -> String {
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    // Who whispers need not be told to whisper.
    let fits = |topic: &&Topic| !(whispered && topic.about.contains(&"whisper"));
    let known = TOPICS.iter().filter(fits).find(|topic| {
        let named = |key: &&str| words.contains(key) || !key.is_ascii() && lower.contains(*key);
        topic.about.iter().any(named)
    });
    let choice = match known {
        Some(topic) => topic.answers,
        None if whispered => WHISPERS,
        None if text.contains(['?', '\u{ff1f}', '\u{61f}']) => QUESTIONS,
        None => ANYTHING,
    };
    let fill = |line: &str| line.replace("{name}", name).replace("{me}", me);
    let fresh: Vec<String> = choice
        .iter()
        .map(|line| fill(line))
        .filter(|line| line != last)
        .collect();
    chance
        .pick(&fresh)
        .cloned()
        .unwrap_or_else(|| fill(choice.first().unwrap_or(&"Hm.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(chance: &mut Chance, text: &str, whispered: bool, last: &str) -> String {
        answer(chance, text, "ash", "wren", whispered, last)
    }

    #[test]
    fn answers_are_about_what_was_said() {
        let mut chance = Chance::new(7);
        for text in ["Hello!", "hey there", "你好呀"] {
            let said = say(&mut chance, text, false, "");
            assert!(
                TOPICS[0]
                    .answers
                    .iter()
                    .any(|it| it.replace("{name}", "wren") == said),
                "{said}"
            );
        }
        // "this" holds "hi", and is no greeting.
        let said = say(&mut chance, "this", false, "");
        assert!(
            !TOPICS[0]
                .answers
                .iter()
                .any(|it| it.replace("{name}", "wren") == said),
            "{said}"
        );
    }

    #[test]
    fn nobody_says_the_same_twice_in_a_row() {
        let mut chance = Chance::new(9);
        let mut last = String::new();
        for _ in 0..200 {
            let said = say(&mut chance, "xyzzy", true, &last);
            assert_ne!(said, last);
            last = said;
        }
    }

    #[test]
    fn no_line_has_a_hole() {
        for line in TOPICS
            .iter()
            .flat_map(|topic| topic.answers)
            .chain(QUESTIONS)
            .chain(ANYTHING)
            .chain(WHISPERS)
        {
            let filled = line.replace("{name}", "wren").replace("{me}", "ash");
            assert!(!filled.contains(['{', '}']), "{line}");
        }
    }
}
