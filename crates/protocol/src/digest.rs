//! SHA-256 (FIPS 180-4) for names: written to be small, as every client has it. A library's, unrolled for speed, is 11 KiB of code.

/// The first 32 bits of the fractional parts of the cube roots of the first 64 primes.
const ROUNDS: [u32; 64] = roots();
/// The first 32 bits of the fractional parts of the square roots of the first 8 primes.
const START: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// By counting, so that no constant can be mistyped.
const fn roots() -> [u32; 64] {
    let mut roots = [0; 64];
    let (mut found, mut number) = (0, 2_u128);
    while found < roots.len() {
        let (mut divisor, mut prime) = (2, true);
        while divisor * divisor <= number {
            prime &= number % divisor != 0;
            divisor += 1;
        }
        if prime {
            // The largest whole number whose cube is at most number · 2⁹⁶: the cube root with 32 bits behind the point.
            let (mut root, mut bit) = (0_u128, 1_u128 << 35);
            while bit > 0 {
                let more = root | bit;
                if more * more * more <= number << 96 {
                    root = more;
                }
                bit >>= 1;
            }
            roots[found] = root as u32;
            found += 1;
        }
        number += 1;
    }
    roots
}

/// The digest of a message.
pub(crate) fn sha256(message: &[u8]) -> [u8; 32] {
    let mut padded = message.to_vec();
    padded.push(0x80);
    while padded.len() % 64 != 56 {
        padded.push(0);
    }
    padded.extend_from_slice(&(message.len() as u64).wrapping_mul(8).to_be_bytes());
    let mut state = START;
    for block in padded.chunks_exact(64) {
        compress(&mut state, block);
    }
    let mut digest = [0; 32];
    for (out, word) in digest.chunks_exact_mut(4).zip(state) {
        out.copy_from_slice(&word.to_be_bytes());
    }
    digest
}

fn compress(state: &mut [u32; 8], block: &[u8]) {
    let mut words = [0_u32; 64];
    for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
        *word = bytes
            .iter()
            .fold(0, |word, byte| word << 8 | u32::from(*byte));
    }
    for t in 16..64 {
        let (early, late) = (words[t - 15], words[t - 2]);
        let low = early.rotate_right(7) ^ early.rotate_right(18) ^ early >> 3;
        let high = late.rotate_right(17) ^ late.rotate_right(19) ^ late >> 10;
        words[t] = (words[t - 16].wrapping_add(low))
            .wrapping_add(words[t - 7])
            .wrapping_add(high);
    }
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    for (word, round) in words.into_iter().zip(ROUNDS) {
        let mixed = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let chosen = e & f ^ !e & g;
        let one = (h.wrapping_add(mixed).wrapping_add(chosen))
            .wrapping_add(round)
            .wrapping_add(word);
        let mixed = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let two = mixed.wrapping_add(a & b ^ a & c ^ b & c);
        (h, g, f, e) = (g, f, e, d.wrapping_add(one));
        (d, c, b, a) = (c, b, a, one.wrapping_add(two));
    }
    for (word, add) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
        *word = word.wrapping_add(add);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn every_length_around_a_block_is_the_librarys() {
        for len in 0..300 {
            let message: Vec<u8> = (0..len).map(|n| n as u8).collect();
            let expected: [u8; 32] = Sha256::digest(&message).into();
            assert_eq!(sha256(&message), expected, "{len} bytes");
        }
    }

    proptest! {
        #[test]
        fn it_is_the_librarys(message in proptest::collection::vec(any::<u8>(), 0..400)) {
            let expected: [u8; 32] = Sha256::digest(&message).into();
            prop_assert_eq!(sha256(&message), expected);
        }
    }
}
