//! What breaks.

use super::LIVE_BYTES;
use crate::{
    network::LinkKey,
    world::{CLOCK_JUMP_MS, What, World},
};

impl World {
    /// Something breaks.
    pub(crate) fn fault(&mut self) {
        match self.rng.below(1_000) {
            0..=359 => {
                let keys: Vec<LinkKey> = self.links.keys().copied().collect();
                if let Some(key) = self.rng.pick(&keys).copied() {
                    self.report.count("fault: link dropped");
                    let (one, other) = (self.rng.between(0, 5_000), self.rng.between(0, 5_000));
                    self.schedule(one, What::ClientLost(key, None));
                    self.schedule(other, What::ServerLost(key));
                }
            }
            360..=479 => {
                let index = self.rng.below(self.devices.len() as u64) as usize;
                self.report.count("fault: client killed");
                self.kill_client(index);
                let away = if self.is_stormy() { 20_000 } else { 4_000 };
                let away = self.rng.between(10, away);
                self.schedule(away, What::ClientStart(index));
            }
            480..=589 => {
                let synced = self.rng.chance(500);
                self.kill_server(synced);
            }
            590..=639 => {
                let now = self.server_now();
                if let Some(node) = self.server.node.as_mut() {
                    node.drain(now);
                    self.server.draining = true;
                    self.pump_server();
                }
            }
            640..=699 => {
                self.report.count("fault: disk full");
                self.server.disk.full_until_ms = self.now + self.rng.between(20, 800);
            }
            700..=749 => {
                self.report.count("fault: disk stalled");
                self.server.disk.stalled_until_ms = self.now + self.rng.between(100, 2_500);
            }
            750..=849 => {
                let keys: Vec<LinkKey> = self.links.keys().copied().collect();
                if let Some(key) = self.rng.pick(&keys).copied() {
                    self.report.count("fault: slow reader");
                    let long = if self.is_stormy() { 20_000 } else { 3_000 };
                    let pause = self.rng.between(100, long);
                    let room = self.rng.below(2_000) as usize;
                    let big = self.rng.chance(500);
                    if let Some(link) = self.links.get_mut(&key) {
                        link.slow_until_ms = self.now + pause;
                        if big && link.ballast == 0 {
                            // Something big is in its queue already: a few frames more and it is behind.
                            link.ballast = LIVE_BYTES.saturating_sub(link.outbound.bytes() + room);
                            if link.ballast > 0 {
                                link.outbound.add(link.ballast);
                            }
                        }
                    }
                    self.schedule(pause, What::Drained(key));
                }
            }
            850..=889 => {
                let index = self.rng.below(self.devices.len() as u64) as usize;
                self.report.count("fault: client disk broken");
                if let Some(device) = self.devices.get_mut(index) {
                    device.disk.broken = true;
                    device.forgetful = true;
                }
            }
            890..=939 => {
                self.report.count("fault: clock jumped");
                self.server.clock_offset =
                    self.rng.below(CLOCK_JUMP_MS) as i64 - (CLOCK_JUMP_MS / 2) as i64;
            }
            _ => {
                let index = self.rng.below(self.devices.len() as u64) as usize;
                let jump = self.rng.below(60_000) as i64 - 30_000;
                if let Some(device) = self.devices.get_mut(index) {
                    device.clock_offset = jump;
                }
            }
        }
    }
}
