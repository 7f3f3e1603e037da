//! The claims of all methods as one table.

use super::claims;
use crate::sde::{Claims, Needs};

const HEAD: [&str; 9] = ["method", "calculus", "noise", "strong", "weak", "invariant law", "needs", "drifts", "source"];

/// The claims of all methods, in Markdown: a line for each method and each group of kinds of noise for which
/// it has the same orders.
pub fn table() -> String {
    let rows: Vec<[String; 9]> = [HEAD.map(str::to_owned)].into_iter().chain(claims().iter().flat_map(rows)).collect();
    let width: Vec<usize> = (0..9).map(|j| rows.iter().map(|row| row[j].len()).max().unwrap_or(0)).collect();
    let line = |row: &[String; 9]| {
        let cells: Vec<String> = row.iter().zip(&width).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let rule = std::array::from_fn(|j| "-".repeat(width[j]));
    let body: String = rows[1..].iter().map(line).collect();
    line(&rows[0]) + &line(&rule) + &body
}

/// The lines of one method; what holds for all of them stands in the first.
fn rows(claims: &Claims) -> Vec<[String; 9]> {
    let mut groups: Vec<(String, [f64; 2])> = vec![];
    for o in claims.orders {
        match groups.last_mut().filter(|(_, orders)| *orders == [o.strong, o.weak]) {
            Some((noise, _)) => *noise = format!("{noise}, {}", o.noise),
            None => groups.push((o.noise.to_string(), [o.strong, o.weak])),
        }
    }
    let needs = match claims.needs {
        Needs::Nothing => "",
        Needs::W => "W",
        Needs::Wh => "W, H",
    };
    let invariant =
        claims.invariant.map_or(String::new(), |order| if order.is_infinite() { "exact".to_owned() } else { order.to_string() });
    let row = |(i, (noise, [strong, weak])): (usize, (String, [f64; 2]))| {
        let first = |cell: String| if i == 0 { cell } else { String::new() };
        let strong = if strong > 0.0 { strong.to_string() } else { String::new() };
        let [name, calculus] = [claims.name.to_owned(), claims.calculus.to_string()].map(first);
        let [invariant, needs, drifts, source] =
            [invariant.clone(), needs.to_owned(), claims.drifts.to_string(), claims.source.to_owned()].map(first);
        [name, calculus, noise, strong, weak.to_string(), invariant, needs, drifts, source]
    };
    groups.into_iter().enumerate().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The documentation's table is what the claims print.
    #[test]
    fn the_documented_table_is_that_of_the_claims() {
        let table = table();
        assert!(include_str!("claims.md") == table, "src/sde/method/claims.md must be\n{table}");
        assert_eq!(table.lines().filter(|line| !line.starts_with("|  ")).count(), 2 + claims().len(), "{table}");
    }
}
