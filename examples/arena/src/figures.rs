//! The players as figures in the world: where they are, and how they look.

use bevy::{prelude::*, sprite::Text2dShadow};
use bevy_fireside::UserId;

use crate::{
    people::{CAST, color_of, short},
    stage::Me,
    theme,
    walk::{Stroller, Velocity},
    world::BORDER_Z,
};

/// Radius of a body, in logical pixels.
pub(crate) const RADIUS: f32 = 19.0;
/// From a figure's middle to above its name.
pub(crate) const HEAD: f32 = 50.0;

/// A player's figure. Its `Transform` says where.
#[derive(Component, Debug)]
pub(crate) struct Figure {
    /// Whose.
    pub(crate) user: UserId,
    /// Where it looks, a unit vector.
    pub(crate) facing: Vec2,
    /// How far it walked, in strides; for its bobbing.
    pub(crate) strides: f32,
}

/// The local player's figure.
#[derive(Component, Debug)]
pub(crate) struct Player;

/// What bobs when a figure walks.
#[derive(Component)]
struct Body;
/// What turns when a figure looks elsewhere.
#[derive(Component)]
struct Eyes;

/// Puts everybody in the world.
pub(crate) fn plugin(app: &mut App) {
    app.add_systems(Startup, spawn);
}

/// Gives them bodies, eyes and names.
pub(crate) fn draw_plugin(app: &mut App) {
    app.add_systems(PostStartup, dress)
        .add_systems(Update, (bob, look, order_by_depth));
}

fn spawn(me: Res<Me>, mut commands: Commands) {
    let places = [(-150.0, 70.0), (135.0, 105.0), (60.0, -140.0)];
    for (name, (x, y)) in CAST.iter().zip(places) {
        // The cast's names are good ones.
        if let Ok(user) = UserId::new(name) {
            let stroller = Stroller::new(Vec2::new(x, y));
            commands.spawn((figure(user, Vec2::new(x, y)), stroller));
        }
    }
    let place = Vec2::new(-40.0, -190.0);
    commands.spawn((figure(me.user.clone(), place), Player));
}

fn figure(user: UserId, place: Vec2) -> impl Bundle {
    (
        Figure {
            user,
            facing: (-place).normalize_or(Vec2::NEG_Y),
            strides: 0.0,
        },
        Velocity::default(),
        Transform::from_translation(place.extend(BORDER_Z)),
        Visibility::default(),
    )
}

/// Characters of a name over a head.
const NAME: usize = 18;

fn dress(
    figures: Query<(Entity, &Figure, Has<Player>)>,
    mut meshes: ResMut<Assets<Mesh>>,
    mut materials: ResMut<Assets<ColorMaterial>>,
    mut commands: Commands,
) {
    let shadow = meshes.add(Ellipse::new(RADIUS * 1.02, RADIUS * 0.46));
    let ring = meshes.add(Circle::new(RADIUS + 2.0));
    let body = meshes.add(Circle::new(RADIUS));
    let shine = meshes.add(Circle::new(RADIUS * 0.62));
    let eye = meshes.add(Circle::new(2.7));
    let black = materials.add(Color::srgba(0.0, 0.0, 0.0, 0.42));
    let ink = materials.add(theme::INK);
    let light = materials.add(Color::srgba(1.0, 1.0, 1.0, 0.20));
    for (figure, about, own) in &figures {
        let color = color_of(about.user.as_str(), own);
        let dark = color.mix(&Srgba::rgb(0.08, 0.05, 0.05), 0.62);
        let (fill, edge) = (
            materials.add(Color::from(color)),
            materials.add(Color::from(dark)),
        );
        commands.entity(figure).with_children(|figure| {
            figure.spawn((
                Mesh2d(shadow.clone()),
                MeshMaterial2d(black.clone()),
                Transform::from_xyz(0.0, -RADIUS * 0.86, -0.02),
            ));
            figure
                .spawn((Body, Transform::default(), Visibility::default()))
                .with_children(|it| {
                    it.spawn((
                        Mesh2d(ring.clone()),
                        MeshMaterial2d(edge),
                        Transform::from_xyz(0.0, 0.0, 0.001),
                    ));
                    it.spawn((
                        Mesh2d(body.clone()),
                        MeshMaterial2d(fill),
                        Transform::from_xyz(0.0, 0.0, 0.002),
                    ));
                    it.spawn((
                        Mesh2d(shine.clone()),
                        MeshMaterial2d(light.clone()),
                        Transform::from_xyz(-RADIUS * 0.24, RADIUS * 0.26, 0.003),
                    ));
                    it.spawn((
                        Eyes,
                        Transform::from_xyz(0.0, 0.0, 0.004),
                        Visibility::default(),
                    ))
                    .with_children(|eyes| {
                        for side in [-1.0, 1.0] {
                            eyes.spawn((
                                Mesh2d(eye.clone()),
                                MeshMaterial2d(ink.clone()),
                                Transform::from_xyz(side * 5.4, 0.0, 0.0),
                            ));
                        }
                    });
                });
            figure.spawn((
                Text2d::new(short(about.user.as_str(), NAME)),
                theme::font(theme::LABEL),
                TextColor(Color::from(color.mix(&Srgba::WHITE, 0.35))),
                Text2dShadow {
                    offset: Vec2::new(1.0, -1.0),
                    color: Color::srgba(0.0, 0.0, 0.0, 0.85),
                },
                // Above the night, so that names are read everywhere.
                Transform::from_xyz(0.0, RADIUS + 15.0, 30.0),
            ));
        });
    }
}

fn bob(figures: Query<(&Figure, &Children)>, mut bodies: Query<&mut Transform, With<Body>>) {
    for (figure, parts) in &figures {
        let mut parts = bodies.iter_many_mut(parts);
        while let Some(mut body) = parts.fetch_next() {
            let height = (figure.strides * std::f32::consts::PI).sin().abs() * 4.0;
            if (body.translation.y - height).abs() > f32::EPSILON {
                body.translation.y = height;
            }
        }
    }
}

fn look(
    figures: Query<&Figure>,
    parents: Query<&ChildOf>,
    mut eyes: Query<(Entity, &mut Transform), With<Eyes>>,
) {
    for (entity, mut transform) in &mut eyes {
        let figure = parents
            .iter_ancestors(entity)
            .find_map(|above| figures.get(above).ok());
        if let Some(figure) = figure {
            let at = figure.facing * Vec2::new(6.0, 5.0) + Vec2::Y * 1.5;
            transform.translation = at.extend(transform.translation.z);
        }
    }
}

/// Who stands lower stands before who stands higher.
fn order_by_depth(mut figures: Query<&mut Transform, With<Figure>>) {
    for mut figure in &mut figures {
        let depth = BORDER_Z - figure.translation.y * 0.004;
        if (figure.translation.z - depth).abs() > f32::EPSILON {
            figure.translation.z = depth;
        }
    }
}
