//! The types of numbers that files have, by the names of NumPy's headers.

/// A type: letter, bytes of a number, and their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NumberType {
    letter: u8,
    /// Bytes of a number.
    pub size: usize,
    big: bool,
}

/// What [`NumberType::parse`] takes, in words.
pub(super) const KNOWN: &str = "f2, f4, f8, i1 to i8, u1 to u8 or b1";

impl NumberType {
    /// The type of a header's `descr`: `<f8`, `>i4`, `|u1`.
    pub fn parse(descr: &str) -> Option<Self> {
        let [order @ (b'<' | b'>' | b'|' | b'='), letter, size @ b'1'..=b'8'] = *descr.as_bytes() else { return None };
        let kind = NumberType { letter, size: usize::from(size - b'0'), big: order == b'>' };
        match (letter, kind.size) {
            (b'f', 2 | 4 | 8) | (b'i' | b'u', 1 | 2 | 4 | 8) | (b'b', 1) => Some(kind),
            _ => None,
        }
    }

    /// How many values a number of a pixel has, where its type says so: bytes and truth values.
    pub fn levels(self) -> Option<u32> {
        match (self.letter, self.size) {
            (b'u', 1) => Some(256),
            (b'b', 1) => Some(2),
            _ => None,
        }
    }

    /// The number with these bytes, as many as it has; of 64-bit integers the nearest.
    pub fn number(self, bytes: &[u8]) -> f64 {
        let mut word = [0; 8];
        for (to, from) in word.iter_mut().zip(bytes) {
            *to = *from;
        }
        if self.big {
            word[..self.size].reverse();
        }
        let bits = u64::from_le_bytes(word);
        match (self.letter, self.size) {
            (b'f', 2) => half(bits as u16),
            (b'f', 4) => f64::from(f32::from_bits(bits as u32)),
            (b'f', _) => f64::from_bits(bits),
            (b'i', size) => {
                let unused = 64 - 8 * size as u32;
                ((bits << unused) as i64 >> unused) as f64
            }
            (b'b', _) => f64::from(u8::from(bits != 0)),
            _ => bits as f64,
        }
    }
}

/// IEEE 754 half precision: a sign, 5 bits of exponent, 10 of fraction.
fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    let size = match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
    };
    if bits >> 15 == 1 { -size } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(descr: &str, bytes: &[u8]) -> f64 {
        let kind = NumberType::parse(descr).unwrap();
        assert_eq!(kind.size, bytes.len());
        kind.number(bytes)
    }

    #[test]
    fn numbers_are_those_of_their_bytes() {
        for (value, double, single) in [(0.1f64, "f8", "f4"), (-2.5e-300, "f8", "f4"), (7.0, "f8", "f4")] {
            assert_eq!(read(&format!("<{double}"), &value.to_le_bytes()), value);
            assert_eq!(read(&format!(">{double}"), &value.to_be_bytes()), value);
            assert_eq!(read(&format!("={single}"), &(value as f32).to_le_bytes()), f64::from(value as f32));
        }
        assert_eq!(read(">i2", &(-300i16).to_be_bytes()), -300.0);
        assert_eq!(read("<i4", &i32::MIN.to_le_bytes()), f64::from(i32::MIN));
        assert_eq!(read("<i8", &(-1i64).to_le_bytes()), -1.0);
        assert_eq!(read("<u8", &u64::MAX.to_le_bytes()), 18_446_744_073_709_551_616.0);
        assert_eq!(read(">u4", &4_000_000_000u32.to_be_bytes()), 4e9);
        assert_eq!((read("|i1", &[200]), read("|u1", &[200]), read("|b1", &[1]), read("|b1", &[0])), (-56.0, 200.0, 1.0, 0.0));
        for unknown in ["<f1", "<i3", "<c16", "|S5", "<M8[ns]", "f8", "", "<f8 ", "<b2", "|V8"] {
            assert!(NumberType::parse(unknown).is_none(), "{unknown}");
        }
    }

    /// Values of the standard: the largest number, the least normal and the least subnormal one, 1/3 rounded.
    #[test]
    fn halves_are_those_of_the_standard() {
        let known = [
            (0x7bff, 65504.0),
            (0x0400, 2f64.powi(-14)),
            (0x0001, 2f64.powi(-24)),
            (0x3555, 0.333_251_953_125),
            (0xc000, -2.0),
            (0x8000, 0.0),
            (0x7c00, f64::INFINITY),
            (0xfc00, f64::NEG_INFINITY),
        ];
        for (bits, value) in known {
            assert_eq!(half(bits), value, "{bits:04x}");
        }
        assert!(half(0x7e00).is_nan());
    }
}
