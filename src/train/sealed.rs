//! A safetensors file that vouches for itself: what stands in its header is in order, so that equal contents are
//! equal bytes, and among the metadata is a hash over all bytes of the file.

use crate::hash::fnv1a;
use safetensors::tensor::TensorView;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::Range;

/// The metadata's name of the hash, and what stands there while it is taken.
const HASH: &str = "hash";
const OPEN: &str = "0000000000000000";

/// The bytes of a file with these tensors and metadata.
///
/// # Errors
/// Names that are there twice, and whatever else the format does not allow.
pub fn seal(tensors: Vec<(&str, TensorView<'_>)>, facts: &BTreeMap<String, String>) -> io::Result<Vec<u8>> {
    let mut all: HashMap<String, String> = facts.iter().map(|(name, fact)| (name.clone(), fact.clone())).collect();
    all.insert(HASH.to_owned(), OPEN.to_owned());
    let unordered = safetensors::serialize(tensors, Some(all)).map_err(io::Error::other)?;
    let at = header(&unordered).ok_or_else(|| io::Error::other("the header is longer than the file"))?;
    let entries: BTreeMap<String, BTreeMap<String, Value>> = serde_json::from_slice(&unordered[at.clone()])?;
    let mut text = serde_json::to_vec(&entries)?;
    // Numbers begin at a multiple of eight bytes.
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text);
    bytes.extend(&unordered[at.end..]);
    let place = place(&bytes).ok_or_else(|| io::Error::other("the header has no place for the hash"))?;
    let hash = format!("{:016x}", digest(&bytes));
    bytes[place].copy_from_slice(hash.as_bytes());
    Ok(bytes)
}

/// Whether the bytes are those that were sealed; what is wrong otherwise, to follow the name of the file.
pub fn check(bytes: &[u8]) -> Result<(), &'static str> {
    let place = place(bytes).ok_or("has no hash among its metadata")?;
    let mut open = bytes.to_vec();
    open[place.clone()].copy_from_slice(OPEN.as_bytes());
    if format!("{:016x}", digest(&open)).as_bytes() == &bytes[place] {
        Ok(())
    } else {
        Err("is damaged: its hash is not that of its bytes")
    }
}

/// Where the header stands, behind its length.
fn header(bytes: &[u8]) -> Option<Range<usize>> {
    let length = usize::try_from(u64::from_le_bytes(*bytes.first_chunk()?)).ok()?;
    let end = length.checked_add(8)?;
    (end <= bytes.len()).then_some(8..end)
}

/// Where the hash stands. Quotes within names and facts are escaped, so no other place looks like it.
fn place(bytes: &[u8]) -> Option<Range<usize>> {
    let (at, name) = (header(bytes)?, format!("\"{HASH}\":\""));
    let found = bytes[at.clone()].windows(name.len()).position(|text| text == name.as_bytes())?;
    let start = at.start + found + name.len();
    (start + OPEN.len() <= at.end).then_some(start..start + OPEN.len())
}

/// [`fnv1a`] over words of eight bytes, the last filled with zeros.
fn digest(bytes: &[u8]) -> u64 {
    let word = |some: &[u8]| {
        let mut word = [0; 8];
        word[..some.len()].copy_from_slice(some);
        u64::from_le_bytes(word)
    };
    // The length first: zeros behind the end are no part of the file.
    fnv1a(std::iter::once(bytes.len() as u64).chain(bytes.chunks(8).map(word)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::SafeTensors;
    use safetensors::tensor::Dtype;

    fn sealed() -> Vec<u8> {
        let numbers: Vec<u8> = (0..52).collect();
        let view = |shape: &[usize], bytes| TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap();
        let facts = [("step", "3"), ("b", "say \"hash\":\"1234567890123456\""), ("a", "x"), ("z", "")];
        let facts = facts.into_iter().map(|(name, fact)| (name.to_owned(), fact.to_owned())).collect();
        seal(vec![("model.a", view(&[2, 4], &numbers[..32])), ("ema.a", view(&[5], &numbers[32..]))], &facts).unwrap()
    }

    #[test]
    fn equal_contents_are_equal_bytes_and_whole() {
        let bytes = sealed();
        assert!((0..20).all(|_| sealed() == bytes));
        check(&bytes).unwrap();
        let read = SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!((read.tensor("ema.a").unwrap().data()[0], read.tensor("model.a").unwrap().shape()), (32, &[2, 4][..]));
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let facts = header.metadata().as_ref().unwrap();
        assert!(facts["step"] == "3" && facts["b"].contains("1234567890123456") && facts.len() == 5);
    }

    /// A flipped bit anywhere, a byte too few or too many.
    #[test]
    fn no_change_goes_unnoticed() {
        let bytes = sealed();
        for bit in 0..8 * bytes.len() {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(check(&changed).is_err(), "bit {bit}");
        }
        assert!((0..bytes.len()).all(|len| check(&bytes[..len]).is_err()));
        assert!(check(&[&bytes[..], &[0]].concat()).is_err());
    }
}
