//! CSV files of numbers: one point a line, comma-separated, with or without a line of names.

use super::file::{MAX_NUMBERS, Table, check_finite, check_size, open};
use crate::{Error, Result};
use ndarray::Array2;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Numbers of a CSV file, [n, d]. A first line in which no field is a number is taken for names; blank lines
/// are skipped; fields may stand in double quotes.
///
/// # Errors
/// [`Error::File`] with line and column if a field is no finite number or a line has another number of fields
/// than the first; if the file is missing, empty, not UTF-8, has fewer than 2 rows, or more than
/// [`MAX_NUMBERS`] numbers.
pub fn read(path: &Path) -> Result<Table> {
    let (file, _) = open(path)?;
    let mut file = BufReader::new(file);
    let (mut values, mut columns, mut rows) = (Vec::new(), 0, 0);
    let mut text = String::new();
    for line in 1.. {
        text.clear();
        match file.read_line(&mut text) {
            Ok(0) => break,
            Ok(_) => {}
            Err(e) => return Err(Error::bad_file(path, format!("line {line}: cannot be read: {e}"))),
        }
        // A byte-order mark, if any, stands before the first line.
        let text = text.strip_prefix('\u{feff}').filter(|_| line == 1).unwrap_or(&text).trim();
        if text.is_empty() {
            continue;
        }
        let count = fields(text).count();
        let first = columns == 0;
        if first {
            columns = count;
        }
        if count != columns {
            return Err(Error::bad_file(path, format!("line {line}: must have {columns} fields like the first line, got {count}")));
        }
        if first && fields(text).all(|field| field.parse::<f64>().is_err()) {
            continue;
        }
        for (column, field) in fields(text).enumerate() {
            let x = field.parse::<f64>().map_err(|_| {
                let shown: String = field.chars().take(20).collect();
                Error::bad_file(path, format!("line {line}, column {}: must be a number, got `{shown}`", column + 1))
            })?;
            values.push(check_finite(path, x, ("line", line), column + 1)?);
        }
        rows += 1;
        if values.len() > MAX_NUMBERS {
            return Err(Error::bad_file(path, format!("holds more than the {MAX_NUMBERS} numbers that are read")));
        }
    }
    check_size(path, rows, &[columns])?;
    let values = Array2::from_shape_vec((rows, columns), values).map_err(|e| Error::bad_file(path, e.to_string()))?;
    Ok(Table { values, images: None, labels: None })
}

/// The fields of a line, without spaces and quotes around them; a comma between quotes does not separate.
fn fields(line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let separates = move |c: char| {
        quoted ^= c == '"';
        c == ',' && !quoted
    };
    line.split(separates).map(|field| {
        let field = field.trim();
        field.strip_prefix('"').and_then(|field| field.strip_suffix('"')).unwrap_or(field).trim()
    })
}
