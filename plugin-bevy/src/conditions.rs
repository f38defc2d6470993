//! Run conditions, for systems and for observers (`.run_if(online)`).

use bevy_ecs::{
    query::With,
    resource::Resource,
    system::{Local, Query, Res},
};

use crate::client::{ConnectionStatus, PrimaryClient};

/// Says by hand that the player writes; for UIs that do not use Bevy's `EditableText`. Insert it and set it with your text box's focus.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Resource)]
pub struct ChatFocus(pub bool);

/// The player writes into a text box: keys are letters, not moves. Gate the game's own keyboard systems with `.run_if(not(typing))`,
/// or "w" walks.
///
/// With the feature `text_input` the focused entity is looked at (it has an `EditableText`); [`ChatFocus`] counts always.
#[cfg(feature = "text_input")]
#[must_use]
pub fn typing(
    by_hand: Option<Res<ChatFocus>>,
    focus: Option<Res<bevy_input_focus::InputFocus>>,
    inputs: Query<(), With<bevy_text::EditableText>>,
) -> bool {
    let focused = focus.and_then(|focus| focus.get());
    by_hand.is_some_and(|focus| focus.0) || focused.is_some_and(|entity| inputs.contains(entity))
}

/// The player writes into a text box ([`ChatFocus`]): keys are letters, not moves. Gate the game's own keyboard systems with
/// `.run_if(not(typing))`, or "w" walks.
#[cfg(not(feature = "text_input"))]
#[must_use]
pub fn typing(by_hand: Option<Res<ChatFocus>>) -> bool {
    by_hand.is_some_and(|focus| focus.0)
}

type Primary<'w, 's> = Query<'w, 's, &'static ConnectionStatus, With<PrimaryClient>>;

/// The primary client is logged in.
#[must_use]
pub fn online(primary: Primary) -> bool {
    primary.iter().any(ConnectionStatus::is_online)
}

/// The primary client tries to connect, for the first time or again.
#[must_use]
pub fn connecting(primary: Primary) -> bool {
    primary.iter().any(ConnectionStatus::is_connecting)
}

/// The primary client neither is connected nor tries to, or there is none.
#[must_use]
pub fn offline(primary: Primary) -> bool {
    !primary
        .iter()
        .any(|status| status.is_online() || status.is_connecting())
}

/// The primary client logged in since this condition was last asked.
#[must_use]
pub fn just_connected(primary: Primary, mut was: Local<bool>) -> bool {
    let is = online(primary);
    let just = is && !*was;
    *was = is;
    just
}

/// The primary client lost its log-in since this condition was last asked.
#[must_use]
pub fn just_disconnected(primary: Primary, mut was: Local<bool>) -> bool {
    let is = online(primary);
    let just = *was && !is;
    *was = is;
    just
}
