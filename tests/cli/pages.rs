//! The pages in a browser: at every width of a screen, in the light and in the dark, with what their script does.
//!
//! By headless Chromium; where there is none the test says so and ends.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Widths of a phone, a tablet, a small and a large screen.
const WIDTHS: [u32; 4] = [390, 768, 1280, 2000];

/// What opens a page in a frame of each width, uses it, and says what it found.
const PROBE: &str = r#"
const found = [];
for (const frame of document.querySelectorAll("iframe")) {
  const [page, view] = [frame.contentDocument, frame.contentWindow];
  const say = (name, value) => found.push(`${frame.width} ${name}: ${value}`);
  say("too wide", page.documentElement.scrollWidth - frame.width > 0);
  say("paper", view.getComputedStyle(page.body).backgroundColor);
  const narrow = [...page.querySelectorAll("td, th")].filter((cell) => cell.textContent.trim().length > 3 && cell.clientWidth < 24);
  say("crushed cells", narrow.length);
  for (const film of page.querySelectorAll(".frames")) {
    const [slider, canvas] = [film.querySelector("input"), film.querySelector("canvas")];
    const seen = () => canvas.toDataURL() + film.querySelector("output").textContent;
    const before = seen();
    slider.value = Math.floor(slider.max / 2);
    slider.dispatchEvent(new view.Event("input"));
    say("slider moves", !film.hidden && seen() !== before);
  }
  for (const panel of page.querySelectorAll("svg[data-axes]")) {
    const box = panel.getBoundingClientRect();
    panel.dispatchEvent(new view.PointerEvent("pointermove", { clientX: box.left + 0.6 * box.width, clientY: box.top + 0.5 * box.height }));
    say("values under the pointer", panel.closest("figure").querySelector(".told").textContent.length > 3);
  }
  for (const table of page.querySelectorAll(".wide table")) {
    const first = () => table.tBodies[0].rows[0].textContent;
    const orders = [first()];
    for (let i = 0; i < 2; i++) { table.tHead.rows[0].cells[0].click(); orders.push(first()); }
    say("rows are sorted", table.tBodies[0].rows.length < 2 || orders[1] !== orders[2]);
  }
}
document.body.innerHTML = "";
document.body.append(...found.map((line) => { const p = document.createElement("p"); p.textContent = line; return p; }));
"#;

/// Opens `page` in all widths: the lines of the probe, and the messages of the console.
fn opened(page: &Path, dark: bool) -> (Vec<String>, Vec<String>) {
    let quoted = fs::read_to_string(page).unwrap().replace('&', "&amp;").replace('"', "&quot;");
    let frames: String = WIDTHS.iter().map(|w| format!("<iframe width=\"{w}\" height=\"900\" srcdoc=\"{quoted}\"></iframe>\n")).collect();
    let scheme = if dark { "dark" } else { "light" };
    let probe = page.with_extension(format!("{scheme}.html"));
    let text = format!(
        "<!doctype html>\n<meta name=\"color-scheme\" content=\"light dark\"><body>\n{frames}<script>onload = () => {{{PROBE}}};</script>"
    );
    fs::write(&probe, text).unwrap();
    let profile = tempfile::tempdir().unwrap();
    let mut browser = Command::new("chromium");
    browser.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]);
    browser.args(["--disable-component-update", "--disable-sync", "--enable-logging=stderr", "--virtual-time-budget=10000", "--dump-dom"]);
    browser.arg(format!("--user-data-dir={}", profile.path().display()));
    browser.arg(format!("--blink-settings=preferredColorScheme={}", if dark { 0 } else { 1 }));
    let out = browser.arg(format!("file://{}", probe.display())).output().expect("the browser, which was there before");
    let messages = String::from_utf8_lossy(&out.stderr).lines().filter(|l| l.contains("CONSOLE")).map(str::to_owned).collect();
    let dom = String::from_utf8_lossy(&out.stdout).into_owned();
    (dom.split("<p>").skip(1).filter_map(|p| p.split("</p>").next().map(str::to_owned)).collect(), messages)
}

/// Whether there is a browser; says so where there is none.
fn browser() -> bool {
    crate::there(Command::new("chromium").arg("--version"), "pages in a browser; there is no chromium here")
}

/// What the other test would not see on a good page.
#[test]
fn a_page_that_is_wrong_is_seen() {
    if !browser() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let page = dir.path().join("wrong.html");
    let body = "<div style=\"width: 800px\">wide</div><table style=\"width: 60px; overflow-wrap: anywhere\"><tr><td>some words</td><td>and \
                more of them</td><td>in a row</td></tr></table><figure class=\"frames\"><canvas></canvas><input type=\"range\" max=\"9\">\
                <output></output></figure><script>console.log(\"a message\")</script>";
    fs::write(&page, format!("<!doctype html><body style=\"background: #fff\">{body}</body>")).unwrap();
    let (lines, messages) = opened(&page, true);
    for seen in
        ["390 too wide: true", "768 too wide: true", "2000 too wide: false", "2000 paper: rgb(255, 255, 255)", "390 slider moves: false"]
    {
        assert!(lines.iter().any(|line| line == seen), "{seen}: {lines:#?}");
    }
    assert!(!lines.iter().any(|line| line.ends_with("crushed cells: 0")) && messages.len() == WIDTHS.len(), "{lines:#?} {messages:?}");
}

#[test]
fn pages_are_read_at_every_width_and_in_the_dark() {
    if !browser() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let run = |arguments: &str| {
        let out = Command::new(env!("CARGO_BIN_EXE_ndsm")).args(arguments.split(' ')).current_dir(dir.path()).output().unwrap();
        assert!(out.status.success(), "{arguments}: {}", String::from_utf8_lossy(&out.stderr));
    };
    let small = "--set network.width=16 --set network.depth=2 --set train.batch=64 --set train.steps=40 --set train.evaluate_every=10";
    run(&format!("train --set data.name=four-modes --set data.n=300 --set train.diagnose=true {small} --out points"));
    run(&format!("train {small} --out digits"));
    run("report points digits --out both.html");
    run("fit --set data.name=four-modes --set data.n=300 --out law");
    run("audit transitions --quick --out audit");
    for (page, films, curves) in [
        (at("points/report.html"), 1, 5),
        (at("digits/report.html"), 1, 3),
        (at("both.html"), 0, 2),
        (at("law/reference.html"), 0, 1),
        (at("audit/index.html"), 0, 0),
    ] {
        for dark in [false, true] {
            let (lines, messages) = opened(&page, dark);
            assert!(messages.is_empty(), "{}: {messages:?}", page.display());
            let count = |what: &str| lines.iter().filter(|line| line.contains(what)).count();
            let place = format!("{}: {lines:#?}", page.display());
            assert_eq!(count("too wide: false"), WIDTHS.len(), "{place}");
            assert_eq!(count("crushed cells: 0"), WIDTHS.len(), "{place}");
            assert_eq!(count(if dark { "paper: rgb(20, 24, 31)" } else { "paper: rgb(255, 255, 255)" }), WIDTHS.len(), "{place}");
            assert_eq!(count("slider moves: true"), films * WIDTHS.len(), "{place}");
            assert!(count("values under the pointer: true") >= curves * WIDTHS.len(), "{place}");
            assert_eq!(count("values under the pointer: false") + count("rows are sorted: false"), 0, "{place}");
        }
    }
}
