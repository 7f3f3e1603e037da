//! The pieces of an HTML page: tables, figures, and the one style of all pages.

use super::encode::{base64, escape};
use super::plot;
use std::path::Path;

/// A table; the cells are text and get escaped. Columns of `numeric` are aligned to the right. Wider than the page,
/// it scrolls by itself; with script its rows are sorted by a click on a head.
pub fn table(head: &[&str], rows: &[Vec<String>], numeric: &[usize]) -> String {
    let class = |i: usize| if numeric.contains(&i) { " class=\"n\"" } else { "" };
    let line = |cells: Vec<String>| format!("<tr>{}</tr>\n", cells.concat());
    let mut out = String::from("<div class=\"wide\" tabindex=\"0\"><table>\n<thead>");
    out += &line(head.iter().enumerate().map(|(i, h)| format!("<th{}>{}</th>", class(i), escape(h))).collect());
    out += "</thead>\n<tbody>\n";
    for row in rows {
        out += &line(row.iter().enumerate().map(|(i, c)| format!("<td{}>{}</td>", class(i), escape(c))).collect());
    }
    out + "</tbody>\n</table></div>\n"
}

/// A table of Markdown, cell by cell; the columns from `numbers` on are numbers.
pub fn markdown_table(text: &str, numbers: usize) -> String {
    let cells = |line: &str| -> Vec<String> { line.trim_matches('|').split('|').map(|c| c.trim().to_owned()).collect() };
    let mut lines = text.lines();
    let head = lines.next().map(cells).unwrap_or_default();
    let body: Vec<Vec<String>> = lines.skip(1).map(cells).collect();
    let numbers: Vec<usize> = (numbers..head.len()).collect();
    table(&head.iter().map(String::as_str).collect::<Vec<_>>(), &body, &numbers)
}

/// Names, each with what belongs to it: beside each other, or below each other where the page is narrow.
pub fn list(rows: &[Vec<String>]) -> String {
    let cells = |row: &Vec<String>| row.iter().map(|c| format!("<td>{}</td>", escape(c))).collect::<String>();
    let rows: String = rows.iter().map(|row| format!("<tr>{}</tr>\n", cells(row))).collect();
    format!("<table class=\"list\"><tbody>\n{rows}</tbody></table>\n")
}

/// What is folded away until it is asked for.
pub fn folded(summary: &str, body: &str) -> String {
    format!("<details><summary>{}</summary>\n{body}</details>\n", escape(summary))
}

/// The panels of a figure with their caption.
pub fn figure(panels: &str, caption: &str) -> String {
    format!("<figure><div class=\"panels\">\n{panels}</div><figcaption>{}</figcaption></figure>\n", escape(caption))
}

/// The picture that was kept as `path` (PNG) and in vectors beside it, with its caption: in vectors where they are
/// there and as this program writes them. `None` where there is none.
pub fn kept_figure(path: &Path, caption: &str) -> Option<String> {
    let vectors = std::fs::read_to_string(path.with_extension("svg")).ok().and_then(|text| plot::panels(&text));
    vectors.map(|panels| figure(&panels, caption)).or_else(|| Some(picture(&std::fs::read(path).ok()?, caption)))
}

/// A PNG inside the page, at half its size in pixels, with its caption.
fn picture(png: &[u8], caption: &str) -> String {
    // The width stands in the header chunk, bytes 16 to 19.
    let width = png.get(16..20).and_then(|b| b.try_into().ok()).map_or(0, u32::from_be_bytes) / 2;
    let caption = escape(caption);
    format!(
        "<figure><img width=\"{width}\" alt=\"{caption}\" src=\"data:image/png;base64,{}\"><figcaption>{caption}</figcaption></figure>\n",
        base64(png)
    )
}

/// A whole page around its `body`, one file that needs nothing else.
pub fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n",
        escape(title)
    )
}

const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_markup() {
        let t = table(&["<a>"], &[vec!["\"x\" & <script>'".to_owned()]], &[0]);
        assert!(t.contains("&lt;a&gt;") && t.contains("&quot;x&quot; &amp; &lt;script&gt;&#39;") && !t.contains("<script"));
    }
}
