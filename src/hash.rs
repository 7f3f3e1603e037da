//! One hash for all that must be told from something else: data, models, files.

/// FNV-1a over words of 64 bits: every step is one to one in the word and in what was before it, so a change of one word
/// is always seen.
pub(crate) fn fnv1a(words: impl IntoIterator<Item = u64>) -> u64 {
    words.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, word| (hash ^ word).wrapping_mul(0x0100_0000_01b3))
}
