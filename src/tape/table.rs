//! The program as a table and as a graph: what is computed, from what, how large, and what came out.

use super::op::elements;
use super::program::{Node, Program};
use super::workspace::Workspace;
use crate::{Error, Real, Result};
use std::fmt::{self, Write};
use std::sync::Arc;

/// One line of the table: a leaf or an operation.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its place in the order of evaluation.
    pub index: usize,
    /// The operation with its attributes, or `input NAME`, `parameter NAME`.
    pub op: String,
    /// The nodes that it reads.
    pub inputs: Vec<usize>,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Operations of one forward call.
    pub flops: u64,
    /// Bytes that one forward call reads and writes.
    pub bytes: u64,
    /// Where it was recorded.
    pub location: String,
    /// Its value after the last forward pass; None for a parameter, or without a workspace.
    pub value: Option<Statistics>,
    /// Its adjoint after the last backward pass, if the sweep reached it. An operation may have used it up: `linear` leaves
    /// dy times the derivative of its activation.
    pub adjoint: Option<Statistics>,
}

/// What a tensor's elements are like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Statistics {
    /// The smallest number.
    pub min: f64,
    /// The mean of the numbers.
    pub mean: f64,
    /// The largest number.
    pub max: f64,
    /// How many elements are not numbers; the others do not see them.
    pub nan: usize,
}

impl Statistics {
    fn of<R: Real>(x: &[R]) -> Self {
        let numbers = || x.iter().map(|x| x.f64()).filter(|x| !x.is_nan());
        let count = numbers().count();
        Statistics {
            min: numbers().fold(f64::INFINITY, f64::min),
            mean: numbers().sum::<f64>() / count as f64,
            max: numbers().fold(f64::NEG_INFINITY, f64::max),
            nan: x.len() - count,
        }
    }
}

impl<R: Real> Program<R> {
    /// The table's lines; with a workspace, also what its last replay left there.
    ///
    /// # Errors
    /// If the workspace is another program's.
    pub fn rows(&self, ws: Option<&Workspace<R>>) -> Result<Vec<Row>> {
        if ws.is_some_and(|ws| !Arc::ptr_eq(&self.inner, &ws.program)) {
            return Err(Error::refused("table: workspace", "belongs to another program"));
        }
        Ok(self.inner.nodes.iter().enumerate().map(|(index, node)| self.row(index, node, ws)).collect())
    }

    fn row(&self, index: usize, node: &Node<R>, ws: Option<&Workspace<R>>) -> Row {
        let shapes: Vec<&[usize]> = node.inputs.iter().map(|i| self.inner.nodes[*i].shape.as_slice()).collect();
        let (op, flops, bytes) = match &node.op {
            Some(op) => {
                let numbers = shapes.iter().map(|s| elements(s)).sum::<usize>() + elements(&node.shape) + node.kept.len();
                (op.label(), op.flops(&shapes, &node.shape), (numbers * R::BYTES) as u64)
            }
            None => (format!("{} {}", if node.parameter.is_some() { "parameter" } else { "input" }, node.name), 0, 0),
        };
        Row {
            index,
            op,
            inputs: node.inputs.clone(),
            shape: node.shape.clone(),
            flops,
            bytes,
            location: format!("{}:{}", node.location.file(), node.location.line()),
            value: ws.filter(|_| node.parameter.is_none()).map(|ws| Statistics::of(&ws.values[node.value.clone()])),
            adjoint: ws
                .filter(|ws| node.parameter.is_none() && node.needs_gradient && ws.touched[index])
                .map(|ws| Statistics::of(&ws.adjoints[node.adjoint.clone()])),
        }
    }

    /// The table as text; with a workspace, also minimum, mean, maximum and number of NaNs of values and adjoints.
    ///
    /// # Errors
    /// If the workspace is another program's.
    pub fn table(&self, ws: Option<&Workspace<R>>) -> Result<String> {
        let rows = self.rows(ws)?;
        let mut cells = vec![
            ["", "operation", "inputs", "shape", "flops", "bytes", "value min / mean / max", "adjoint min / mean / max"]
                .map(str::to_string),
        ];
        let statistics = |s: Option<Statistics>| {
            s.map_or(String::new(), |s| {
                let nan = if s.nan > 0 { format!(" ({} NaN)", s.nan) } else { String::new() };
                format!("{:.3e} / {:.3e} / {:.3e}{nan}", s.min, s.mean, s.max)
            })
        };
        for row in &rows {
            let inputs = row.inputs.iter().map(|i| format!("%{i}")).collect::<Vec<_>>().join(" ");
            let (index, shape) = (format!("%{}", row.index), format!("{:?}", row.shape));
            let (value, adjoint) = (statistics(row.value), statistics(row.adjoint));
            cells.push([index, row.op.clone(), inputs, shape, row.flops.to_string(), row.bytes.to_string(), value, adjoint]);
        }
        let widths: Vec<usize> = (0..8).map(|j| cells.iter().map(|c| c[j].len()).max().unwrap_or(0)).collect();
        let shown = if ws.is_some() { 8 } else { 6 };
        let mut text = String::new();
        for line in &cells {
            let line: Vec<String> = line.iter().zip(&widths).take(shown).map(|(cell, w)| format!("{cell:<w$}")).collect();
            text.push_str(line.join("  ").trim_end());
            text.push('\n');
        }
        let flops = rows.iter().map(|r| r.flops).sum::<u64>();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{} parameters, {flops} operations forward, {} bytes of workspace",
            self.parameter_count(),
            (self.inner.values + self.inner.adjoints + self.inner.kept + self.inner.scratch) * R::BYTES
        );
        Ok(text)
    }

    /// The graph in the DOT language of Graphviz.
    pub fn dot(&self) -> String {
        let mut text = "digraph tape {\n  rankdir=BT;\n".to_string();
        for (index, node) in self.inner.nodes.iter().enumerate() {
            let row = self.row(index, node, None);
            let shape = if node.op.is_some() { "ellipse" } else { "box" };
            let label = row.op.replace('\\', "\\\\").replace('"', "\\\"");
            let _ = writeln!(text, "  n{index} [shape={shape}, label=\"%{index} {label}\\n{:?}\"];", row.shape);
            for input in &row.inputs {
                let _ = writeln!(text, "  n{input} -> n{index};");
            }
        }
        text + "}\n"
    }
}

impl<R: Real> fmt::Display for Program<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.table(None).map_err(|_| fmt::Error)?)
    }
}
