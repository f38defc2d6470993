//! Who is at the fire, and in which colour.

use bevy::color::Srgba;

/// The scripted players.
pub(crate) const CAST: [&str; 3] = ["ash", "brook", "cedar"];
/// The group that everybody is in.
pub(crate) const CAMP: &str = "Camp";

/// The local player's colour.
const OWN: Srgba = Srgba::rgb(0.97, 0.78, 0.42);
/// Whoever else comes gets one of these.
const OTHERS: [Srgba; 4] = [
    Srgba::rgb(0.80, 0.66, 0.90),
    Srgba::rgb(0.93, 0.64, 0.72),
    Srgba::rgb(0.62, 0.80, 0.83),
    Srgba::rgb(0.83, 0.81, 0.58),
];

/// A name, or its beginning, in so many characters.
pub(crate) fn short(name: &str, characters: usize) -> String {
    if name.chars().count() <= characters {
        return name.to_owned();
    }
    let start: String = name.chars().take(characters.saturating_sub(1)).collect();
    format!("{start}…")
}

/// A person's colour: of the figure and of the name in the chat.
pub(crate) fn color_of(user: &str, own: bool) -> Srgba {
    if own {
        return OWN;
    }
    match user {
        "ash" => Srgba::rgb(0.93, 0.53, 0.40),
        "brook" => Srgba::rgb(0.47, 0.72, 0.92),
        "cedar" => Srgba::rgb(0.58, 0.78, 0.49),
        other => {
            let sum = other.bytes().fold(0_usize, |sum, byte| {
                sum.wrapping_mul(31) + usize::from(byte)
            });
            OTHERS[sum % OTHERS.len()]
        }
    }
}
