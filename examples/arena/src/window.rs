//! The arena in a window.

use bevy::{log::LogPlugin, prelude::*, window::WindowResolution};

use crate::{
    args::Args, bubbles, camera, chat::panel, figures, fonts, keys, rescue, stage, trace, walk,
    world,
};

/// What is worth a line on the terminal. Drivers say a lot about themselves.
const LOG: &str = "warn,winit=error,wgpu=error,wgpu_hal=off,naga=error,bevy_render=error,bevy_winit=error,symphonia=off";

/// The whole game.
pub(crate) fn app(args: &Args) -> App {
    let mut app = App::new();
    app.add_plugins(
        DefaultPlugins
            .set(WindowPlugin {
                primary_window: Some(Window {
                    title: "Fireside Arena".to_owned(),
                    name: Some("fireside-arena".to_owned()),
                    resolution: WindowResolution::new(1280, 720),
                    ..default()
                }),
                ..default()
            })
            .set(LogPlugin {
                filter: LOG.to_owned(),
                ..default()
            }),
    )
    .add_plugins((
        fonts::plugin,
        world::plugin,
        figures::plugin,
        figures::draw_plugin,
        walk::plugin,
        walk::keys_plugin,
        camera::plugin,
        bubbles::plugin,
        panel::plugin,
        keys::plugin,
    ))
    .add_systems(First, rescue::watch);
    stage::plugin(&mut app, args);
    if args.trace {
        app.add_plugins((trace::plugin, trace::window_plugin));
    }
    app
}
