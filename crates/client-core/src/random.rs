//! The session's own randomness: nonces and jitter, repeatable from `Config::seed`.

use fireside_protocol::{Nonce, WallMs};

/// xoshiro256** (Blackman and Vigna), seeded through SplitMix64. Not for secrets.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    state: [u64; 4],
}

impl Random {
    pub(crate) fn new(seed: &[u8; 32]) -> Self {
        let mut mix = 0u64;
        let mut state = [0; 4];
        for (word, chunk) in state.iter_mut().zip(seed.chunks_exact(8)) {
            let bytes = chunk
                .iter()
                .fold(0u64, |value, byte| value << 8 | u64::from(*byte));
            mix = mix.wrapping_add(bytes).wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = mix;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *word = z ^ (z >> 31);
        }
        if state == [0; 4] {
            state[0] = 1;
        }
        Self { state }
    }

    pub(crate) fn next(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.state;
        let result = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let t = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= t;
        *d = d.rotate_left(45);
        result
    }

    /// A number from 0 to `max`, both included; near enough to even for jitter.
    pub(crate) fn up_to(&mut self, max: u64) -> u64 {
        match max.checked_add(1) {
            Some(choices) => self.next() % choices,
            None => self.next(),
        }
    }

    pub(crate) fn nonce(&mut self, wall_ms: WallMs) -> Nonce {
        let mut random = [0; 10];
        let bytes = self.next().to_be_bytes().into_iter();
        let more = self.next().to_be_bytes().into_iter();
        for (out, byte) in random.iter_mut().zip(bytes.chain(more)) {
            *out = byte;
        }
        Nonce::new(wall_ms, random)
    }
}
