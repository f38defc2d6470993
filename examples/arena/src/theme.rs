//! Colours and sizes of everything that is drawn: the look in one place.

use bevy::prelude::*;

/// Text.
pub(crate) const CREAM: Color = Color::srgb(0.957, 0.914, 0.843);
/// Text that matters less.
pub(crate) const DIM: Color = Color::srgba(0.957, 0.914, 0.843, 0.60);
/// Text that matters least, still readable.
pub(crate) const FAINT: Color = Color::srgba(0.957, 0.914, 0.843, 0.44);
/// What is selected, what wants attention.
pub(crate) const AMBER: Color = Color::srgb(0.965, 0.718, 0.365);
/// All is well.
pub(crate) const GREEN: Color = Color::srgb(0.596, 0.788, 0.475);
/// Something went wrong.
pub(crate) const RED: Color = Color::srgb(0.945, 0.475, 0.408);
/// Dark text on light ground.
pub(crate) const INK: Color = Color::srgb(0.157, 0.110, 0.078);

/// Behind the chat while nobody writes.
pub(crate) const PANEL: Color = Color::srgba(0.063, 0.047, 0.043, 0.74);
/// Behind the chat while the player's figure is behind it.
pub(crate) const PANEL_CLEAR: Color = Color::srgba(0.063, 0.047, 0.043, 0.40);
/// Behind the chat while the player writes.
pub(crate) const PANEL_ACTIVE: Color = Color::srgba(0.063, 0.047, 0.043, 0.92);
/// A hair line.
pub(crate) const LINE: Color = Color::srgba(1.0, 0.878, 0.706, 0.14);
/// Something to press.
pub(crate) const RAISED: Color = Color::srgba(1.0, 0.878, 0.706, 0.10);
/// Where text is written.
pub(crate) const WELL: Color = Color::srgba(0.0, 0.0, 0.0, 0.35);
/// Speech.
pub(crate) const BUBBLE: Color = Color::srgb(0.965, 0.925, 0.859);
/// Beyond the world.
pub(crate) const NIGHT: Color = Color::srgb(0.022, 0.022, 0.030);

/// Font sizes in logical pixels.
pub(crate) const TEXT: f32 = 15.0;
pub(crate) const SMALL: f32 = 12.5;
pub(crate) const LABEL: f32 = 14.0;

/// The chat box: logical pixels.
pub(crate) const PANEL_WIDTH: f32 = 460.0;
pub(crate) const PANEL_HEIGHT: f32 = 326.0;
pub(crate) const PANEL_MARGIN: f32 = 18.0;

/// Where the chat box is in a window of this size.
pub(crate) fn chat_box(window: Vec2) -> Rect {
    let corner = Vec2::new(PANEL_MARGIN, window.y - PANEL_MARGIN);
    Rect::from_corners(corner, corner + Vec2::new(PANEL_WIDTH, -PANEL_HEIGHT))
}

/// A font of a size.
pub(crate) fn font(size: f32) -> TextFont {
    TextFont::from_font_size(size)
}
