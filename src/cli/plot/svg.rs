//! A figure as SVG (W3C, SVG 1.1): whole files, and panels for a page. Colours of text and axes are classes, so
//! that a dark page can have its own.

use super::figure::{Anchor, Color, FAINT, Figure, INK, MUTED, Panel, Shape};
use super::raster::png;
use crate::cli::encode::{base64, escape};
use std::fmt::Write;

/// What colours the classes in a file of its own.
const STYLE: &str = "text{font-family:system-ui,'Helvetica Neue',Arial,sans-serif}\
    .paper{fill:#fff}.ink{fill:#262c36}.muted{fill:#5f6672}.faint{fill:#e2e5ea}\
    .ink-line{stroke:#262c36}.muted-line{stroke:#5f6672}.faint-line{stroke:#e2e5ea}";

/// How a panel begins, in files and in pages.
pub const PANEL: &str = "<svg class=\"panel\"";

/// Points of a scatter that share a path: few enough that hardly two of them meet, where one would hide the other.
const TOGETHER: usize = 64;

/// A file.
pub fn document(figure: &Figure) -> String {
    let (width, height) = figure.size();
    let mut left = 0.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
         <style>{STYLE}</style>\n<rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>\n"
    );
    for p in &figure.panels {
        out += &panel(p, left);
        left += p.width;
    }
    out + "</svg>\n"
}

/// An element for a panel, `left` from the left edge of a file; a page places it by itself.
pub fn panel(panel: &Panel, left: f64) -> String {
    let (width, height) = (panel.width, panel.height);
    let mut out = format!("{PANEL} x=\"{left}\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\"");
    if let Some(axes) = &panel.axes {
        let numbers = [axes.low, axes.high, axes.x, axes.y, [axes.log_x, axes.log_y].map(|log| f64::from(u8::from(log)))];
        let numbers: Vec<String> = numbers.concat().iter().map(f64::to_string).collect();
        let _ = write!(out, " data-axes=\"{}\"", numbers.join(" "));
    }
    // What lines inherit.
    out += " fill=\"none\" stroke-linecap=\"round\" stroke-linejoin=\"round\">\n";
    panel.shapes.iter().for_each(|s| shape(&mut out, s));
    out + "</svg>\n"
}

fn shape(out: &mut String, shape: &Shape) {
    // Writing to a string does not fail.
    let _ = match shape {
        Shape::Discs { at, radius, color, alpha } => {
            let paths = at.chunks(TOGETHER).map(|c| c.iter().fold(String::new(), |all, p| all + &format!("M{}h0", point(p))));
            let paths: String = paths.map(|d| format!("<path d=\"{d}\"/>")).collect();
            writeln!(out, "<g {}>{paths}</g>", stroke(*color, 2.0 * radius, *alpha))
        }
        Shape::Line { points, width, color, alpha, name } => {
            let line = points.iter().map(point).collect::<Vec<_>>().join(" ");
            let name = name.as_ref().map_or(String::new(), |n| format!(" data-name=\"{}\"", escape(n)));
            writeln!(out, "<polyline points=\"{line}\" {}{name}/>", stroke(*color, *width, *alpha))
        }
        Shape::Rect { low, high, color } => {
            let [w, h] = [high[0] - low[0], high[1] - low[1]].map(number);
            writeln!(out, "<rect x=\"{}\" y=\"{}\" width=\"{w}\" height=\"{h}\" {}/>", number(low[0]), number(low[1]), fill(*color))
        }
        Shape::Text { at, size, anchor, color, text, upright } => {
            let anchor = match anchor {
                Anchor::Left => "start",
                Anchor::Middle => "middle",
                Anchor::Right => "end",
            };
            let [x, y] = at.map(number);
            let turned = if *upright { format!(" transform=\"rotate(-90 {x} {y})\"") } else { String::new() };
            let text = escape(text);
            writeln!(out, "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" text-anchor=\"{anchor}\" {}{turned}>{text}</text>", fill(*color))
        }
        Shape::Image { low, high, size, rgba } => {
            let [w, h] = [high[0] - low[0], high[1] - low[1]].map(number);
            let place = format!("x=\"{}\" y=\"{}\" width=\"{w}\" height=\"{h}\"", number(low[0]), number(low[1]));
            let data = base64(&png(*size, 4, rgba));
            let crisp = "preserveAspectRatio=\"none\" style=\"image-rendering:pixelated\"";
            writeln!(out, "<image {place} {crisp} href=\"data:image/png;base64,{data}\"/>")
        }
    };
}

/// The class of a colour that changes with the page.
fn class(color: Color) -> Option<&'static str> {
    [(INK, "ink"), (MUTED, "muted"), (FAINT, "faint")].into_iter().find(|(c, _)| *c == color).map(|(_, name)| name)
}

fn hex([r, g, b]: Color) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

fn fill(color: Color) -> String {
    class(color).map_or_else(|| format!("fill=\"{}\"", hex(color)), |name| format!("class=\"{name}\""))
}

fn stroke(color: Color, width: f64, alpha: f64) -> String {
    let color = class(color).map_or_else(|| format!("stroke=\"{}\"", hex(color)), |name| format!("class=\"{name}-line\""));
    let opacity = if alpha < 1.0 { format!(" stroke-opacity=\"{alpha}\"") } else { String::new() };
    format!("{color} stroke-width=\"{}\"{opacity}", number(width))
}

/// A length, to a tenth of a pixel; what is not finite has no place and is put at the edge.
fn number(v: f64) -> String {
    let v = if v.is_finite() { (10.0 * v).round() / 10.0 } else { 0.0 };
    v.to_string()
}

fn point(p: &[f64; 2]) -> String {
    format!("{},{}", number(p[0]), number(p[1]))
}

/// The panels of an SVG file, for a page. `None` for what this module does not write: a page takes up nothing else.
pub fn panels(file: &str) -> Option<String> {
    let start = file.find(PANEL)?;
    let body = file.get(start..)?.trim_end().strip_suffix("</svg>")?;
    ours(body).then(|| body.to_owned())
}

/// Whether a text consists of the elements and attributes of [`panel`].
fn ours(text: &str) -> bool {
    const ELEMENTS: [&str; 6] = ["svg", "g", "path", "polyline", "rect", "text"];
    const ATTRIBUTES: [&str; 19] = [
        "x",
        "y",
        "width",
        "height",
        "viewBox",
        "data-axes",
        "data-name",
        "fill",
        "stroke",
        "stroke-width",
        "stroke-opacity",
        "stroke-linecap",
        "stroke-linejoin",
        "d",
        "points",
        "font-size",
        "text-anchor",
        "transform",
        "preserveAspectRatio",
    ];
    let tag = |tag: &str| -> Option<()> {
        let (tag, text) = tag.split_once('>')?;
        let tag = tag.strip_suffix('/').unwrap_or(tag);
        if let Some(closed) = tag.strip_prefix('/') {
            return ELEMENTS.contains(&closed).then_some(());
        }
        let (element, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
        (ELEMENTS.contains(&element) || element == "image").then_some(())?;
        (!text.contains(['<', '>'])).then_some(())?;
        while !rest.trim_start().is_empty() {
            let (name, after) = rest.trim_start().split_once("=\"")?;
            let (value, after) = after.split_once('"')?;
            let known = match name {
                "href" => value
                    .strip_prefix("data:image/png;base64,")
                    .is_some_and(|v| v.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))),
                "style" => value == "image-rendering:pixelated",
                "class" => value.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'),
                name => ATTRIBUTES.contains(&name),
            };
            known.then_some(())?;
            rest = after;
        }
        Some(())
    };
    let mut parts = text.split('<');
    parts.next().is_some_and(|before| before.trim().is_empty()) && parts.all(|part| tag(part).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_shapes() -> Figure {
        let mut a = Panel::new(100.0, 80.0);
        a.discs(vec![[1.0, 2.0]; 100], 1.5, [1, 2, 3], 0.5);
        a.line(&[[0.0, 0.0], [10.04, 5.06]], 2.0, INK, 1.0);
        a.rect([1.0, 1.0], [3.5, 4.0], FAINT);
        a.text([5.0, 5.0], 13.0, Anchor::Right, MUTED, "a < \"b\" & c");
        a.upright([5.0, 5.0], 13.0, INK, "up");
        a.shapes.push(Shape::Image { low: [0.0; 2], high: [8.0; 2], size: [2, 1], rgba: vec![0, 0, 0, 255, 255, 0, 0, 128] });
        a.shapes.push(Shape::Line { points: vec![[1.0, 1.0]], width: 1.0, color: [9, 9, 9], alpha: 0.3, name: Some("<loss>".into()) });
        Figure::new(vec![a, Panel::new(50.0, 40.0)])
    }

    #[test]
    fn a_file_holds_every_shape_and_its_panels_come_back() {
        let file = document(&all_shapes());
        for part in [
            "<polyline points=\"0,0 10,5.1\"",
            "rotate(-90 5 5)",
            "a &lt; &quot;b&quot; &amp; c",
            "x=\"100\" width=\"50\"",
            "data-name=\"&lt;loss&gt;\"",
        ] {
            assert!(file.contains(part), "{part}: {file}");
        }
        // 100 points are two paths.
        assert_eq!(file.matches("<path").count(), 2);
        assert_eq!(panels(&file).unwrap().matches(PANEL).count(), 2);
        let opened = file.matches("<svg").count() + file.matches("<g ").count() + file.matches("<text").count();
        assert_eq!(opened, file.matches("</svg>").count() + file.matches("</g>").count() + file.matches("</text>").count());
    }

    #[test]
    fn a_page_takes_up_nothing_else() {
        let file = document(&all_shapes());
        for (from, to) in [
            ("<path d", "<script>alert(1)</script><path d"),
            ("<path d", "<path onload=\"alert(1)\" d"),
            ("<path d", "<path style=\"background:url(x)\" d"),
            ("data:image/png;base64,", "https://x/"),
            ("<rect x", "<foreignObject x"),
            ("</g>", "</g><img src=x onerror=alert(1)>"),
            ("class=\"ink\"", "class=\"ink\"><b"),
            ("<text x", "<text x='1' y"),
            ("</text>", "</text"),
        ] {
            let changed = file.replacen(from, to, 1);
            assert!(changed != file && panels(&changed).is_none(), "{to}");
        }
        assert_eq!(panels(""), None);
        assert_eq!(panels("<svg class=\"panel\""), None);
    }
}
