//! Philox 4x32-10: ten rounds of a keyed bijection of 128-bit counters (Salmon et al. 2011).

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
/// The golden ratio and sqrt 3 - 1, in 32 bits: what the key grows by each round.
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// Four random words of one counter.
#[inline(always)]
pub fn philox(key: [u32; 2], counter: [u32; 4]) -> [u32; 4] {
    philox_lanes(key, counter.map(|c| [c])).map(|word| word[0])
}

/// Four random words of each of `N` counters; `counter[word][lane]`.
///
/// Words are kept in 64 bits, of which the upper half holds anything: so a round is two multiplications, two
/// shifts and the exclusive ors, without a change of width.
#[inline(always)]
pub fn philox_lanes<const N: usize>(mut key: [u32; 2], counter: [[u32; N]; 4]) -> [[u32; N]; 4] {
    const LOW: u64 = 0xFFFF_FFFF;
    let mut c = [[0u64; N]; 4];
    for (c, counter) in c.iter_mut().zip(&counter) {
        for i in 0..N {
            c[i] = u64::from(counter[i]);
        }
    }
    for _ in 0..10 {
        for i in 0..N {
            let p0 = (c[0][i] & LOW) * u64::from(MULTIPLIERS[0]);
            let p1 = (c[2][i] & LOW) * u64::from(MULTIPLIERS[1]);
            c[0][i] = (p1 >> 32) ^ c[1][i] ^ u64::from(key[0]);
            c[1][i] = p1;
            c[2][i] = (p0 >> 32) ^ c[3][i] ^ u64::from(key[1]);
            c[3][i] = p0;
        }
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    let mut words = [[0; N]; 4];
    for (word, c) in words.iter_mut().zip(&c) {
        for i in 0..N {
            word[i] = c[i] as u32;
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::philox;

    /// The known answers published with Random123.
    #[test]
    fn known_answers() {
        assert_eq!(philox([0; 2], [0; 4]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([u32::MAX; 2], [u32::MAX; 4]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            philox([0xa409_3822, 0x299f_31d0], [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }
}
