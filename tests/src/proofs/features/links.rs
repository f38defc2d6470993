//! Scenes of links whose pages the server reads.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use fireside_client_core::{Command, command::MessageRef};
use fireside_protocol::{Content, TextContent, content::LinkPreview};

use super::{
    Scene,
    device::PATIENCE,
    stage::{Place, Role, Stage},
    talk::row,
};

pub(super) const SCENES: &[Scene] = &[
    Scene {
        name: "link preview",
        act: |stage, place| {
            let link = stage.pages.link("hall");
            let text = format!("meet me there: {link}.");
            let read = stage.pages_read()?;
            place.note = stage.say(Role::Bob, place.group, &text)?;
            stage.until_a_page_is_read(read)
        },
        shows: |stage, role, place| shows(stage, role, place, "hall"),
    },
    Scene {
        name: "another link",
        act: |stage, place| {
            let link = stage.pages.link("first");
            let read = stage.pages_read()?;
            place.note = stage.say(Role::Bob, place.group, &link)?;
            stage.until_a_page_is_read(read)?;
            let text = stage.pages.link("second");
            let edit = Command::Edit {
                conversation: place.group,
                message: MessageRef::Sequence(place.note),
                content: Box::new(Content::Text(TextContent::plain(text))),
            };
            stage.call(Role::Bob, edit)?;
            Ok(())
        },
        shows: |stage, role, place| shows(stage, role, place, "second"),
    },
];

/// Whether a device shows what the page of that name says.
fn shows(stage: &mut Stage, role: Role, place: &Place, name: &str) -> Result<bool> {
    let expected = LinkPreview {
        url: stage.pages.link(name),
        title: name.to_owned(),
        description: format!("about {name}"),
        site: "The hall".to_owned(),
        image: stage.pages.link(&format!("{name}.png")),
    };
    row(stage, role, place.group, place.note, |row| {
        let details = row.details.as_ref();
        let preview = details.and_then(|it| it.preview.as_deref());
        preview == Some(&expected)
    })
}

impl Stage {
    /// Pages that the server has read, or knew, and those that it could not read.
    fn pages_read(&self) -> Result<(u64, u64)> {
        let server = self.server.as_ref().context("the server runs")?;
        let counted = server.counters().gateway;
        let read = counted.previews_read + counted.previews_known;
        Ok((read, counted.previews_failed))
    }

    /// Waits until it has read one more. Links of other scenes lead to nothing.
    fn until_a_page_is_read(&mut self, (read, failed): (u64, u64)) -> Result<()> {
        let begun = Instant::now();
        loop {
            let now = self.pages_read()?;
            ensure!(now.1 == failed, "a page was not read");
            if now.0 > read {
                return Ok(());
            }
            ensure!(begun.elapsed() < PATIENCE, "no page was read");
            self.device(Role::Ann)?.pump();
        }
    }
}
