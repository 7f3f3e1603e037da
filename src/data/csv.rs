//! Text files of numbers: one point a line, with or without a line of names.
//!
//! What separates the fields is what the first line has: semicolons, commas, tabs or spaces, in this order; between
//! semicolons, tabs and spaces a number may have a decimal comma. What had to be guessed is said in [`Table::notes`].

use super::file::{MAX_NUMBERS, Table, check_finite, check_size, open};
use crate::{Error, Result};
use ndarray::{Array2, Axis};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Lines that tell names from numbers.
const LINES: usize = 100;
/// Names of a column that counts the rows, as programs write it.
const COUNTERS: [&str; 4] = ["", "index", "id", "unnamed: 0"];

/// Numbers of a text file, [n, d]. A first line that holds no numbers where the second does is taken for names, and so
/// are different whole numbers above columns of decimals; a first column without a name, or called `index` or `id`, that
/// counts the rows is left out. Blank lines are skipped; fields may stand in double quotes.
///
/// # Errors
/// [`Error::File`] with line and column if a field is no finite number or a line has another number of fields
/// than the first; if the file is missing, empty, not UTF-8, has fewer than 2 rows, or more than
/// [`MAX_NUMBERS`] numbers.
pub fn read(path: &Path) -> Result<Table> {
    read_columns(path, &[], None)
}

/// The columns called `columns`, all where there are none, and the labels of the column `label`, which is then none of
/// them: by their names or their numbers from 1 on. Labels that are words are numbered in their order.
///
/// # Errors
/// As [`read`]; [`Error::Invalid`] for a column that there is not.
pub fn read_columns(path: &Path, columns: &[String], label: Option<&str>) -> Result<Table> {
    let mut lines = Lines { path, file: BufReader::new(open(path)?.0), number: 0 };
    let mut first = Vec::new();
    while first.len() < LINES
        && let Some(line) = lines.next()?
    {
        first.push(line);
    }
    let Some((_, top)) = first.first() else { return Err(Error::bad_file(path, "holds no line of numbers")) };
    let separator = Separator::of(top);
    let (count, mut notes) = (separator.fields(top).len(), Vec::new());
    let names = names(separator, &first, &mut notes);
    let choice = Choice::new(path, columns, label, names.as_deref(), count)?;
    let (mut values, mut words, mut commas) = (Vec::new(), Vec::new(), false);
    let mut early = first.into_iter().skip(usize::from(names.is_some()));
    while let Some((line, text)) = early.next().map_or_else(|| lines.next(), |line| Ok(Some(line)))? {
        let fields = separator.fields(&text);
        if fields.len() != count {
            let got = fields.len();
            return Err(Error::bad_file(path, format!("line {line}: must have {count} fields like the first line, got {got}")));
        }
        for j in &choice.kept {
            let (x, comma) = separator.number(fields[*j]).ok_or_else(|| {
                let shown: String = fields[*j].chars().take(20).collect();
                let remedy = if count > 1 && label.is_none() {
                    "; a column of words is named by data.label, others are left out by data.columns"
                } else {
                    ""
                };
                Error::bad_file(path, format!("line {line}, column {}: must be a number, got `{shown}`{remedy}", j + 1))
            })?;
            commas |= comma;
            values.push(check_finite(path, x, ("line", line), j + 1)?);
        }
        if let Some(label) = choice.label {
            words.push(fields[label].to_owned());
        }
        if values.len() > MAX_NUMBERS {
            return Err(Error::bad_file(path, format!("holds more than the {MAX_NUMBERS} numbers that are read")));
        }
    }
    let d = choice.kept.len();
    let rows = values.len() / d.max(1);
    check_size(path, rows, &[d])?;
    if commas {
        notes.push("the numbers have decimal commas".to_owned());
    }
    let mut values = Array2::from_shape_vec((rows, d), values).map_err(|e| Error::bad_file(path, e.to_string()))?;
    if let Some(name) = counter(&values, &choice, columns, names.as_deref()) {
        match name {
            Some(name) => {
                notes.push(format!("column 1{name} counts the rows and is left out"));
                values.remove_index(Axis(1), 0);
            }
            None => notes.push("column 1 counts the rows; data.columns can leave it out".to_owned()),
        }
    }
    let labels = choice.label.map(|_| numbered(&words, &mut notes));
    Ok(Table { values, images: None, labels, notes })
}

/// Lines that are not blank, with their numbers.
struct Lines<'a, R> {
    path: &'a Path,
    file: R,
    number: usize,
}

impl<R: BufRead> Lines<'_, R> {
    fn next(&mut self) -> Result<Option<(usize, String)>> {
        loop {
            let mut text = String::new();
            self.number += 1;
            let bad = |e| Error::bad_file(self.path, format!("line {}: cannot be read: {e}", self.number));
            if self.file.read_line(&mut text).map_err(bad)? == 0 {
                return Ok(None);
            }
            // A byte-order mark, if any, stands before the first line. Tabs and spaces at the ends may separate.
            let text = text.strip_prefix('\u{feff}').filter(|_| self.number == 1).unwrap_or(&text).trim_end_matches(['\r', '\n']);
            if !text.trim().is_empty() {
                return Ok(Some((self.number, text.to_owned())));
            }
        }
    }
}

/// What stands between fields.
#[derive(Clone, Copy, PartialEq)]
enum Separator {
    Mark(char),
    Space,
}

impl Separator {
    fn of(line: &str) -> Self {
        let outside = |mark: char| split(line, mark).len() > 1;
        match [';', ',', '\t'].into_iter().find(|mark| outside(*mark)) {
            Some(mark) => Separator::Mark(mark),
            None if line.split_whitespace().count() > 1 && !line.contains('"') => Separator::Space,
            None => Separator::Mark(','),
        }
    }

    fn fields(self, line: &str) -> Vec<&str> {
        match self {
            Separator::Mark(mark) => split(line, mark),
            Separator::Space => line.split_whitespace().collect(),
        }
    }

    /// The number of a field, and whether it has a decimal comma.
    fn number(self, field: &str) -> Option<(f64, bool)> {
        match field.parse::<f64>() {
            Ok(x) => Some((x, false)),
            Err(_) if self != Separator::Mark(',') && field.matches(',').count() == 1 => {
                field.replace(',', ".").parse().ok().map(|x| (x, true))
            }
            Err(_) => None,
        }
    }
}

/// The fields of a line, without spaces and quotes around them; a mark between quotes does not separate.
fn split(line: &str, mark: char) -> Vec<&str> {
    let mut quoted = false;
    let separates = move |c: char| {
        quoted ^= c == '"';
        c == mark && !quoted
    };
    let fields = line.split(separates).map(str::trim);
    fields.map(|field| field.strip_prefix('"').and_then(|field| field.strip_suffix('"')).unwrap_or(field).trim()).collect()
}

/// The names in the first line, if it is one of names.
fn names(separator: Separator, first: &[(usize, String)], notes: &mut Vec<String>) -> Option<Vec<String>> {
    let [top, rest @ ..] = first else { return None };
    let top = separator.fields(&top.1);
    let number = |field: &&str| separator.number(field).is_some();
    let named = || Some(top.iter().map(|name| (*name).to_owned()).collect());
    if !top.iter().any(number) {
        return named();
    }
    let rest: Vec<Vec<&str>> = rest.iter().map(|(_, line)| separator.fields(line)).filter(|fields| fields.len() == top.len()).collect();
    let second = rest.first()?;
    let words_over_numbers = top.iter().zip(second).any(|(name, field)| !number(name) && number(field));
    let whole = top.iter().all(|name| name.parse::<i64>().is_ok()) && top.iter().collect::<BTreeSet<_>>().len() == top.len();
    let decimal = |field: &&str| number(field) && field.contains(['.', ',', 'e', 'E']);
    if words_over_numbers || whole && rest.iter().all(|fields| fields.iter().all(decimal)) {
        notes.push(format!("line 1 ({}) was taken for the names of the columns", top.join(", ")));
        return named();
    }
    None
}

/// Which columns are read.
struct Choice {
    kept: Vec<usize>,
    label: Option<usize>,
}

impl Choice {
    fn new(path: &Path, columns: &[String], label: Option<&str>, names: Option<&[String]>, count: usize) -> Result<Self> {
        let find = |key: &str, wanted: &str| {
            let by_name = names.and_then(|names| names.iter().position(|name| name == wanted));
            let by_number = || wanted.parse::<usize>().ok().filter(|j| (1..=count).contains(j)).map(|j| j - 1);
            by_name.or_else(by_number).ok_or_else(|| {
                let known = names.map_or(String::new(), |names| format!(" ({})", names.join(", ")));
                Error::invalid(key, format!("a column of {}: 1 to {count}{known}", path.display()), format!("\"{wanted}\""))
            })
        };
        let label = label.map(|label| find("data.label", label)).transpose()?;
        let mut kept = columns.iter().map(|column| find("data.columns", column)).collect::<Result<Vec<usize>>>()?;
        if kept.is_empty() {
            kept = (0..count).filter(|j| Some(*j) != label).collect();
        }
        if let Some(j) = kept.iter().find(|j| Some(**j) == label) {
            return Err(Error::refused("data.columns", format!("column {} has the labels, by data.label", j + 1)));
        }
        Ok(Choice { kept, label })
    }
}

/// Whether the first column only counts the rows, where nobody asked for it; what to call it where its name says so, too.
fn counter(values: &Array2<f64>, choice: &Choice, columns: &[String], names: Option<&[String]>) -> Option<Option<String>> {
    if !columns.is_empty() || choice.kept.first() != Some(&0) || values.ncols() < 2 {
        return None;
    }
    let counts = |from: f64| values.column(0).iter().enumerate().all(|(i, x)| *x == from + i as f64);
    if !counts(0.0) && !counts(1.0) {
        return None;
    }
    let name = names.map(|names| &names[0]).filter(|name| COUNTERS.contains(&name.to_lowercase().as_str()));
    Some(name.map(|name| if name.is_empty() { String::new() } else { format!(" ({name})") }))
}

/// Labels as numbers: their own where all are whole, else their places in order.
fn numbered(words: &[String], notes: &mut Vec<String>) -> Vec<u32> {
    if let Ok(own) = words.iter().map(|word| word.parse::<u32>()).collect::<std::result::Result<Vec<u32>, _>>() {
        return own;
    }
    let all: Vec<&String> = words.iter().collect::<BTreeSet<_>>().into_iter().collect();
    let shown: Vec<String> = all.iter().take(20).enumerate().map(|(i, word)| format!("{i} {word}")).collect();
    notes.push(format!("labels: {}{}", shown.join(", "), if all.len() > 20 { ", ..." } else { "" }));
    words.iter().map(|word| all.binary_search(&word).unwrap_or(0) as u32).collect()
}
