//! The pieces of an HTML page: escaping, tables, embedded pictures.

/// Text as it may stand between tags and inside quoted attributes.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Base64 (RFC 4648): three bytes are four letters of six bits.
pub fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let word = three.iter().enumerate().fold(0u32, |w, (i, b)| w | u32::from(*b) << (16 - 8 * i));
        for i in 0..4 {
            let letter = char::from(LETTERS[(word >> (18 - 6 * i) & 63) as usize]);
            out.push(if i <= three.len() { letter } else { '=' });
        }
    }
    out
}

/// A table; the cells are text and get escaped. Columns of `numeric` are aligned to the right.
pub fn table(head: &[&str], rows: &[Vec<String>], numeric: &[usize]) -> String {
    let class = |i: usize| if numeric.contains(&i) { " class=\"n\"" } else { "" };
    let line = |cells: Vec<String>| format!("<tr>{}</tr>\n", cells.concat());
    let mut out = String::from("<table>\n<thead>");
    out += &line(head.iter().enumerate().map(|(i, h)| format!("<th{}>{}</th>", class(i), escape(h))).collect());
    out += "</thead>\n<tbody>\n";
    for row in rows {
        out += &line(row.iter().enumerate().map(|(i, c)| format!("<td{}>{}</td>", class(i), escape(c))).collect());
    }
    out + "</tbody>\n</table>\n"
}

/// A PNG inside the page, at half its size in pixels, with its caption.
pub fn picture(png: &[u8], caption: &str) -> String {
    // The width stands in the header chunk, bytes 16 to 19.
    let width = png.get(16..20).and_then(|b| b.try_into().ok()).map_or(0, u32::from_be_bytes) / 2;
    let caption = escape(caption);
    format!(
        "<figure><img width=\"{width}\" alt=\"{caption}\" src=\"data:image/png;base64,{}\"><figcaption>{caption}</figcaption></figure>\n",
        base64(png)
    )
}

/// A whole page around its `body`.
pub fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n",
        escape(title)
    )
}

const STYLE: &str = "
body { max-width: 780px; margin: 3em auto; padding: 0 1.2em; color: #262c36; background: #fff; font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7em; line-height: 1.2; margin-bottom: .2em; }
h2 { font-size: 1.15em; margin-top: 2.2em; }
.lead { color: #707884; margin-top: 0; }
.cards { display: flex; flex-wrap: wrap; gap: .8em; margin: 1.6em 0; }
.cards div { flex: 1 1 8em; padding: .8em 1em; border: 1px solid #e2e5ea; border-radius: 6px; font-size: .85em; color: #707884; }
.cards b { display: block; font-size: 1.7em; line-height: 1.3; color: #262c36; font-weight: 600; }
.cards small { display: block; }
figure { margin: 2em 0; }
figure img { max-width: 100%; height: auto; }
.how { white-space: pre-line; font-size: .9em; color: #707884; }
figcaption { color: #707884; font-size: .9em; }
table { border-collapse: collapse; width: 100%; font-size: .9em; }
th { text-align: left; font-weight: 600; }
th, td { padding: .3em .8em .3em 0; border-bottom: 1px solid #e2e5ea; vertical-align: top; overflow-wrap: anywhere; }
td:first-child { white-space: nowrap; font-family: ui-monospace, monospace; font-size: .95em; }
td:nth-child(2) { min-width: 8em; }
td:last-child { color: #707884; }
.n { white-space: nowrap; text-align: right; padding-right: 1.6em; font-variant-numeric: tabular-nums; color: inherit !important; }
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_follows_the_test_vectors_of_rfc_4648() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }

    #[test]
    fn no_text_becomes_markup() {
        let t = table(&["<a>"], &[vec!["\"x\" & <script>'".to_owned()]], &[0]);
        assert!(t.contains("&lt;a&gt;") && t.contains("&quot;x&quot; &amp; &lt;script&gt;&#39;") && !t.contains("<script"));
    }
}
