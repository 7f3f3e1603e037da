//! The program as a table and as a graph: what is computed, from what, how large, and what came out.

use super::Var;
use super::op::elements;
use super::plan::Memory;
use super::program::{Node, Program};
use super::workspace::Workspace;
use crate::kernels::memory::zeros;
use crate::{Real, Result};
use std::fmt::{self, Write};

/// A program's lines. Prints itself.
#[derive(Debug, Clone)]
pub struct Table {
    /// In the order of evaluation.
    pub rows: Vec<Row>,
    /// Numbers of the parameters.
    pub parameters: usize,
    /// Numbers in the buffers of a workspace.
    pub memory: Memory,
    /// Bytes of a number.
    pub number: usize,
}

/// One line of the table: a leaf or an operation.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its place in the order of evaluation.
    pub index: usize,
    /// The operation with its attributes, or `input NAME`, `parameter NAME`.
    pub op: String,
    /// The nodes that it reads.
    pub inputs: Vec<usize>,
    /// The node that computes this one on the way, if fusion has moved it there.
    pub fused: Option<usize>,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Operations of one forward call.
    pub flops: u64,
    /// Bytes that one forward call reads and writes.
    pub bytes: u64,
    /// Where it was recorded.
    pub location: String,
    /// Its value, if the program was replayed for the table.
    pub value: Option<Statistics>,
    /// Its adjoint, complete, if the backward sweep reached it.
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
    /// The program's lines.
    pub fn table(&self) -> Table {
        let rows = self.inner.nodes.iter().enumerate().map(|(index, node)| self.row(index, node)).collect();
        Table { rows, parameters: self.parameter_count(), memory: self.memory(), number: R::BYTES }
    }

    /// Replays the program, forward and, if there are seeds, backward, for the inputs now in `ws`, and says
    /// of every value and every adjoint what its elements are like: taken at the moment each is complete,
    /// because its memory is used again later.
    ///
    /// # Errors
    /// Those of [`Program::forward`] and [`Program::backward`]; memory that cannot be had.
    pub fn trace(&self, params: &[R], ws: &mut Workspace<R>, seeds: &[(Var, &[R])]) -> Result<Table> {
        let mut table = self.table();
        self.forward_seen(params, ws, |index, value| table.rows[index].value = Some(Statistics::of(value)))?;
        let mut grad = zeros(self.parameter_count())?;
        if !seeds.is_empty() {
            self.backward_seen(params, ws, seeds, &mut grad, |index, adjoint| {
                table.rows[index].adjoint = Some(Statistics::of(adjoint));
            })?;
        }
        for (row, node) in table.rows.iter_mut().zip(&self.inner.nodes).filter(|(_, node)| node.is_leaf()) {
            match &node.parameter {
                Some(at) => {
                    row.value = Some(Statistics::of(&params[at.clone()]));
                    row.adjoint = (!seeds.is_empty()).then(|| Statistics::of(&grad[at.clone()]));
                }
                None => row.value = Some(Statistics::of(&ws.values[node.value.clone()])),
            }
        }
        Ok(table)
    }

    fn row(&self, index: usize, node: &Node<R>) -> Row {
        let shapes: Vec<&[usize]> = node.inputs.iter().map(|i| self.inner.nodes[*i].shape.as_slice()).collect();
        let (op, flops, bytes) = match &node.op {
            Some(op) => {
                let numbers = shapes.iter().map(|s| elements(s)).sum::<usize>() + elements(&node.shape) + node.kept.len();
                (op.label(), op.flops(&shapes, &node.shape), (numbers * R::BYTES) as u64)
            }
            None if node.fused.is_some() => (node.name.clone(), 0, 0),
            None => (format!("{} {}", if node.parameter.is_some() { "parameter" } else { "input" }, node.name), 0, 0),
        };
        Row {
            index,
            op,
            inputs: node.inputs.clone(),
            fused: node.fused,
            shape: node.shape.clone(),
            flops,
            bytes,
            location: format!("{}:{}", node.location.file(), node.location.line()),
            value: None,
            adjoint: None,
        }
    }

    /// The graph in the DOT language of Graphviz.
    pub fn dot(&self) -> String {
        let mut text = "digraph tape {\n  rankdir=BT;\n".to_string();
        for row in self.table().rows.iter().filter(|row| row.fused.is_none()) {
            let shape = if self.inner.nodes[row.index].is_leaf() { "box" } else { "ellipse" };
            let label = row.op.replace('\\', "\\\\").replace('"', "\\\"");
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  n{} [shape={shape}, label=\"%{} {label}\\n{:?}\"];", row.index, row.index, row.shape);
            for input in &row.inputs {
                let _ = writeln!(text, "  n{input} -> n{};", row.index);
            }
        }
        text + "}\n"
    }
}

impl fmt::Display for Table {
    /// Without the columns of values and adjoints if the program was not replayed. An operation that is
    /// computed as part of another points to it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
        for row in &self.rows {
            let op = row.fused.map_or_else(|| row.op.clone(), |into| format!("{} -> %{into}", row.op));
            let inputs = row.inputs.iter().map(|i| format!("%{i}")).collect::<Vec<_>>().join(" ");
            let (index, shape) = (format!("%{}", row.index), format!("{:?}", row.shape));
            let (value, adjoint) = (statistics(row.value), statistics(row.adjoint));
            let count = |n: u64| if row.fused.is_some() { String::new() } else { n.to_string() };
            cells.push([index, op, inputs, shape, count(row.flops), count(row.bytes), value, adjoint]);
        }
        let widths: Vec<usize> = (0..8).map(|j| cells.iter().map(|c| c[j].chars().count()).max().unwrap_or(0)).collect();
        let shown = if self.rows.iter().any(|row| row.value.is_some()) { 8 } else { 6 };
        for line in &cells {
            let line: Vec<String> = line.iter().zip(&widths).take(shown).map(|(cell, w)| format!("{cell:<w$}")).collect();
            writeln!(f, "{}", line.join("  ").trim_end())?;
        }
        let flops = self.rows.iter().map(|r| r.flops).sum::<u64>();
        let (bytes, unshared) = (self.memory.total() * self.number, self.memory.unshared * self.number);
        writeln!(
            f,
            "{} parameters, {flops} operations forward, {bytes} bytes of workspace ({unshared} with a buffer for each node)",
            self.parameters
        )
    }
}

impl<R: Real> fmt::Display for Program<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.table().fmt(f)
    }
}
