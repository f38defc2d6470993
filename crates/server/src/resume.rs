//! Resume secrets: a second log-in without a token, within this process's life.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use fireside_protocol::{DeviceId, UserId, WallMs, limits::TOKEN_LEEWAY_MS};
use parking_lot::Mutex;

use crate::{keys::fill_random, token::Identity};

/// Bytes of a resume secret.
pub const RESUME_SECRET_BYTES: usize = 32;
/// Secrets that one device may hold: a welcome that got lost must not shut out the secret before it, nor must a connection that
/// raced another one.
pub const RESUME_SECRETS_PER_DEVICE_MAX: usize = 4;

type Secret = [u8; RESUME_SECRET_BYTES];

/// Whom a secret stands for.
#[derive(Clone, Debug)]
pub struct Resumed {
    /// What the token said.
    pub identity: Arc<Identity>,
    /// What the hello said.
    pub platform: Arc<str>,
    /// What the hello said.
    pub agent: Arc<str>,
}

#[derive(Debug)]
struct Kept {
    device: DeviceId,
    resumed: Resumed,
}

#[derive(Debug, Default)]
struct Inner {
    by_secret: HashMap<Secret, Kept>,
    by_device: HashMap<(UserId, DeviceId), Vec<Secret>>,
    /// Oldest first; may name secrets that are gone.
    order: VecDeque<Secret>,
}

/// All secrets of a server. In memory only: after a restart a client logs in with its token.
#[derive(Debug)]
pub struct ResumeStore {
    inner: Mutex<Inner>,
    secrets_max: usize,
}

impl ResumeStore {
    /// Keeps at most `secrets_max`; the oldest make room.
    #[must_use]
    pub fn new(secrets_max: usize) -> Self {
        Self {
            inner: Mutex::default(),
            secrets_max: secrets_max.max(1),
        }
    }

    /// Makes a secret for a device.
    ///
    /// # Errors
    /// If the system gives no random numbers.
    pub fn issue(&self, device: DeviceId, resumed: Resumed) -> std::io::Result<Bytes> {
        let mut secret = [0; RESUME_SECRET_BYTES];
        fill_random(&mut secret)?;
        let inner = &mut *self.inner.lock();
        let user = resumed.identity.user.clone();
        let held = inner.by_device.entry((user, device)).or_default();
        held.push(secret);
        if held.len() > RESUME_SECRETS_PER_DEVICE_MAX {
            let oldest = held.remove(0);
            inner.by_secret.remove(&oldest);
        }
        inner.by_secret.insert(secret, Kept { device, resumed });
        inner.order.push_back(secret);
        while inner.by_secret.len() > self.secrets_max
            || inner.order.len() > self.secrets_max.saturating_mul(2)
        {
            let Some(oldest) = inner.order.pop_front() else {
                break;
            };
            inner.forget(&oldest);
        }
        Ok(Bytes::copy_from_slice(&secret))
    }

    /// Whom a secret stands for, if it was made for this device and its token has not ended. It stays valid: the answer may get lost.
    #[must_use]
    pub fn find(&self, secret: &[u8], device: DeviceId, now_ms: WallMs) -> Option<Resumed> {
        let secret = Secret::try_from(secret).ok()?;
        let inner = &mut *self.inner.lock();
        // Secrets are random: finding one by hash tells nothing by its time.
        let kept = inner.by_secret.get(&secret)?;
        if kept
            .resumed
            .identity
            .expires
            .saturating_add(TOKEN_LEEWAY_MS)
            <= now_ms
        {
            inner.forget(&secret);
            return None;
        }
        if kept.device != device {
            return None;
        }
        let resumed = kept.resumed.clone();
        // In use: it is the last of the device's to go.
        if let Some(held) = inner
            .by_device
            .get_mut(&(resumed.identity.user.clone(), device))
            && let Some(at) = held.iter().position(|other| *other == secret)
        {
            held[at..].rotate_left(1);
        }
        Some(resumed)
    }

    /// A new token of the device's user: all its secrets stand for what that one says.
    pub fn update(&self, device: DeviceId, identity: &Arc<Identity>) {
        let inner = &mut *self.inner.lock();
        let key = (identity.user.clone(), device);
        for secret in inner.by_device.get(&key).into_iter().flatten() {
            if let Some(kept) = inner.by_secret.get_mut(secret) {
                kept.resumed.identity = identity.clone();
            }
        }
    }

    /// Forgets all secrets of a device.
    pub fn forget_device(&self, user: &UserId, device: DeviceId) {
        let inner = &mut *self.inner.lock();
        for secret in inner
            .by_device
            .remove(&(user.clone(), device))
            .unwrap_or_default()
        {
            inner.by_secret.remove(&secret);
        }
    }
}

impl Inner {
    fn forget(&mut self, secret: &Secret) {
        let Some(kept) = self.by_secret.remove(secret) else {
            return;
        };
        let key = (kept.resumed.identity.user.clone(), kept.device);
        if let Some(held) = self.by_device.get_mut(&key) {
            held.retain(|other| other != secret);
            if held.is_empty() {
                self.by_device.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn resumed(user: &str, expires: WallMs) -> Resumed {
        Resumed {
            identity: Arc::new(Identity {
                user: UserId::new(user).unwrap(),
                name: String::new(),
                roles: Vec::new(),
                age_group: String::new(),
                platform: String::new(),
                issued_at: 0,
                expires,
            }),
            platform: "".into(),
            agent: "".into(),
        }
    }

    const DEVICE: DeviceId = DeviceId([1; 16]);

    #[test]
    fn a_secret_is_bound_to_its_device_and_ends_with_its_token() {
        let store = ResumeStore::new(10);
        let secret = store.issue(DEVICE, resumed("ada", 1_000_000)).unwrap();
        assert!(store.find(&secret, DeviceId([2; 16]), 0).is_none());
        assert!(store.find(&secret[1..], DEVICE, 0).is_none());
        assert!(store.find(&secret, DEVICE, 1_000_000).is_some());
        let longer = resumed("ada", 2_000_000);
        store.update(DEVICE, &longer.identity);
        assert!(store.find(&secret, DEVICE, 1_900_000).is_some());
        assert!(store.find(&secret, DEVICE, 2_060_000).is_none());
        assert!(store.inner.lock().by_device.is_empty());
    }

    #[test]
    fn the_used_secret_outlives_those_whose_welcome_was_lost() {
        let store = ResumeStore::new(100);
        let used = store.issue(DEVICE, resumed("ada", 1_000)).unwrap();
        for _ in 0..20 {
            assert!(store.find(&used, DEVICE, 0).is_some());
            store.issue(DEVICE, resumed("ada", 1_000)).unwrap();
        }
        assert_eq!(
            store.inner.lock().by_secret.len(),
            RESUME_SECRETS_PER_DEVICE_MAX
        );
        store.forget_device(&UserId::new("ada").unwrap(), DEVICE);
        assert!(store.find(&used, DEVICE, 0).is_none());
    }

    #[test]
    fn it_is_bounded() {
        let store = ResumeStore::new(8);
        let mut secrets = Vec::new();
        for index in 0..100_u8 {
            secrets.push(
                store
                    .issue(DeviceId([index; 16]), resumed("ada", 1_000))
                    .unwrap(),
            );
        }
        let inner = store.inner.lock();
        assert_eq!(inner.by_secret.len(), 8);
        assert_eq!(inner.by_device.len(), 8);
        assert!(inner.order.len() <= 16);
        drop(inner);
        assert!(store.find(&secrets[99], DeviceId([99; 16]), 0).is_some());
        assert!(store.find(&secrets[0], DeviceId([0; 16]), 0).is_none());
    }
}
