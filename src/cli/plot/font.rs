//! A stroke font of our own, so that pictures have text on machines without any font.
//!
//! A glyph is a few pen strokes. A stroke is a list of points `xy`, two digits each: x from the left edge, y
//! from the bottom, with the baseline at 2, small letters up to 6, capitals up to 8. Corners inside a stroke
//! are rounded when it is drawn; a corner that must stay sharp ends one stroke and begins the next. A stroke
//! of one point is a dot.

/// Height of capitals above the baseline, in units of the grid.
pub const CAP: f64 = 6.0;
/// The digit of the baseline.
const BASE: f64 = 2.0;
/// Space between letters.
const GAP: f64 = 1.9;
/// Width of a blank.
const BLANK: f64 = 2.0;

/// The strokes of a character; an empty box for one that the font does not have.
fn glyph(c: char) -> &'static str {
    match c {
        'a' => "46 42|45 36 16 05 03 12 32 43",
        'b' => "08 02|05 16 36 45 43 32 12 03",
        'c' => "45 36 16 05 03 12 32 43",
        'd' => "48 42|45 36 16 05 03 12 32 43",
        'e' => "04 44|44 45 36 16 05 03 12 32 43",
        'f' => "38 28 17 12|06 36",
        'g' => "46 41 30 10 01|45 36 16 05 03 12 32 43",
        'h' => "08 02|05 16 36 45 42",
        'i' => "06 02|08",
        'j' => "16 11 00|18",
        'k' => "08 02|36 03|14 32",
        'l' => "08 03 12",
        'm' => "06 02|05 16 26 35 32|35 46 56 65 62",
        'n' => "06 02|05 16 36 45 42",
        'o' => "26 16 05 03 12 32 43 45 36 26",
        'p' => "06 00|05 16 36 45 43 32 12 03",
        'q' => "46 40|45 36 16 05 03 12 32 43",
        'r' => "06 02|04 16 36",
        's' => "45 36 16 05 14 34 43 32 12 03",
        't' => "18 13 22 32|06 36",
        'u' => "06 03 12 32 43|46 42",
        'v' => "06 22|22 46",
        'w' => "06 12|12 36|36 52|52 66",
        'x' => "06 42|02 46",
        'y' => "06 22|46 10",
        'z' => "06 46|46 02|02 42",
        'A' => "02 28|28 42|14 34",
        'B' => "08 02|08 28 37 36 25 05|05 35 44 43 32 02",
        'C' => "47 38 18 07 03 12 32 43",
        'D' => "08 02|08 28 46 44 22 02",
        'E' => "48 08|08 02|02 42|05 35",
        'F' => "48 08|08 02|05 35",
        'G' => "47 38 18 07 03 12 32 43 45|45 25",
        'H' => "08 02|48 42|05 45",
        'I' => "08 02",
        'J' => "38 33 22 12 03",
        'K' => "08 02|48 04|15 42",
        'L' => "08 02|02 42",
        'M' => "02 08|08 35|35 68|68 62",
        'N' => "02 08|08 42|42 48",
        'O' | '0' => "28 18 07 03 12 32 43 47 38 28",
        'P' => "02 08|08 38 47 46 35 05",
        'Q' => "28 18 07 03 12 32 43 47 38 28|34 52",
        'R' => "02 08|08 38 47 46 35 05|25 42",
        'S' => "47 38 18 07 06 15 35 44 43 32 12 03",
        'T' => "08 48|28 22",
        'U' => "08 03 12 32 43 48",
        'V' => "08 22|22 48",
        'W' => "08 12|12 38|38 52|52 68",
        'X' => "08 42|02 48",
        'Y' => "08 25|48 25|25 22",
        'Z' => "08 48|48 02|02 42",
        '1' => "06 28|28 22",
        '2' => "07 18 38 47 46 02|02 42",
        '3' => "07 18 38 47 46 35 15|15 35 44 43 32 12 03",
        '4' => "38 04|04 44|38 32",
        '5' => "48 08|08 05|05 35 44 43 32 12 03",
        '6' => "47 38 18 07 03 12 32 43 44 35 15 04",
        '7' => "08 48|48 12",
        '8' => "28 18 07 06 15 35 46 47 38 28|25 15 04 03 12 32 43 44 35 25",
        '9' => "03 12 32 43 47 38 18 07 06 15 35 46",
        '.' => "02",
        ',' => "12 00",
        ':' => "05|02",
        ';' => "15|12 00",
        '-' => "04 34",
        '+' => "04 44|26 22",
        '=' => "05 45|03 43",
        '_' => "01 41",
        '/' => "02 38",
        '\\' => "08 32",
        '(' => "29 17 13 21",
        ')' => "09 17 13 01",
        '[' => "29 09|09 01|01 21",
        ']' => "09 29|29 21|21 01",
        '{' => "39 29 18 16 05 14 12 21 31",
        '}' => "09 19 28 26 35 24 22 11 01",
        '|' => "09 01",
        '\'' => "08 06",
        '"' => "08 06|28 26",
        '!' => "08 04|02",
        '?' => "07 18 38 47 46 24|22",
        '%' => "18 07 16 27 18|48 02|34 23 32 43 34",
        '<' => "46 04|04 42",
        '>' => "06 44|44 02",
        '*' => "28 24|07 45|47 05",
        '#' => "18 12|38 32|06 46|04 44",
        '&' => "42 07 18 27 26 04 03 12 22 44",
        '@' => "35 25 24 33 44 46 37 17 06 03 12 32",
        '$' => "47 38 18 07 06 15 35 44 43 32 12 03|29 21",
        '~' => "04 15 34 45",
        '^' => "06 28|28 46",
        '`' => "08 17",
        _ => "02 42|42 48|48 08|08 02",
    }
}

/// The strokes of a text in units of the grid, from its left edge and its baseline, y upwards; and its width.
pub fn strokes(text: &str) -> (Vec<Vec<[f64; 2]>>, f64) {
    let mut all = Vec::new();
    let mut pen = 0.0;
    for c in text.chars() {
        if c == ' ' {
            pen += BLANK + GAP;
            continue;
        }
        let mut width = 0f64;
        for stroke in glyph(c).split('|') {
            let points = stroke.split(' ').map(|p| {
                let digit = |i: usize| f64::from(p.as_bytes().get(i).map_or(0, |b| b.saturating_sub(b'0')));
                width = width.max(digit(0));
                [pen + digit(0), digit(1) - BASE]
            });
            all.push(rounded(&points.collect::<Vec<_>>()));
        }
        pen += width + GAP;
    }
    (all, (pen - GAP).max(0.0))
}

/// Two rounds of corner cutting (Chaikin), the ends kept.
fn rounded(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let mut line = points.to_vec();
    for _ in 0..2 {
        if line.len() < 3 {
            break;
        }
        let at = |a: [f64; 2], b: [f64; 2], t: f64| [a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])];
        let mut cut = vec![line[0]];
        cut.extend(line.windows(2).flat_map(|w| [at(w[0], w[1], 0.25), at(w[0], w[1], 0.75)]));
        cut.push(line[line.len() - 1]);
        line = cut;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_printable_character_has_its_own_strokes_on_the_grid() {
        let mut seen = std::collections::HashMap::new();
        for c in ('!'..='~').filter(|c| *c != '0') {
            let text = glyph(c);
            assert!(text != glyph('\u{1}'), "{c} is missing");
            assert_eq!(seen.insert(text, c), None, "{c}");
            for point in text.split(['|', ' ']) {
                assert!(point.len() == 2 && point.bytes().all(|b| b.is_ascii_digit()), "{c}: {point}");
            }
        }
    }
}
