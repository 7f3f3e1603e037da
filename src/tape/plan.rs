//! Memory: which buffer lies where, decided once from how long each is needed.
//!
//! Time is a node's place on the list: forward the list runs from the first to the last node, backward the
//! other way. A buffer lives from the step that writes it to the last that reads it, and two buffers may
//! overlap in memory if they do not in time:
//! * a value lives until its last reader; if a vector-Jacobian product [reads](super::Op::reads) it, or if the
//!   caller may, for good: a forward pass may be followed by any number of backward passes; that of an input
//!   always, because it is filled before the first node is computed;
//! * an adjoint lives from the vector-Jacobian product that first adds to it to its own; that of an input for
//!   good;
//! * what an operation keeps lives for good if there will be a backward pass through it, else while the
//!   operation runs.
//!
//! Placing is first fit, the largest buffer first (what remains are gaps for the small ones). It is not
//! optimal, but its result is never below the largest sum of buffers alive at once, which [`Memory`] lets one
//! compare it with.

use super::op::elements;
use super::program::Node;
use std::ops::Range;

/// Buffers start at multiples of this many numbers: whole cache lines, whole vectors.
const ALIGN: usize = 16;

/// Numbers in the buffers of a workspace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// For the values.
    pub values: usize,
    /// For the adjoints.
    pub adjoints: usize,
    /// For what operations keep from the forward to the backward pass.
    pub kept: usize,
    /// The largest working memory of one operation.
    pub scratch: usize,
    /// What one buffer for each value, adjoint and kept intermediate of the recorded list would take, without
    /// fusion.
    pub unshared: usize,
}

impl Memory {
    /// All of it: the peak of a replay.
    pub fn total(&self) -> usize {
        self.values + self.adjoints + self.kept + self.scratch
    }
}

/// A buffer that is needed in the steps `from..=to`.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: usize,
    to: usize,
    len: usize,
}

const FOR_GOOD: usize = usize::MAX;

/// Gives every node its places; `shared`: whether buffers may overlap. `unshared` is left as it is.
pub fn plan<R>(nodes: &mut [Node<R>], reads: &[super::Reads], scratch: usize, kept: &[usize], shared: bool, memory: &mut Memory) {
    let n = nodes.len();
    let (mut values, mut adjoints, mut keeps) = (vec![], vec![], vec![]);
    for (i, node) in nodes.iter().enumerate() {
        let len = if node.parameter.is_some() || node.fused.is_some() { 0 } else { elements(&node.shape) };
        let lasting = node.is_leaf() || node.lasting;
        // An input is filled before the first node is computed, wherever it stands on the list.
        let from = if node.is_leaf() { 0 } else { i };
        values.push(Span { from, to: if lasting || !shared { FOR_GOOD } else { i }, len });
        // Backward, node i is step n - i.
        let lasting = node.is_leaf() || !shared;
        adjoints.push(Span { from: n - i, to: if lasting { FOR_GOOD } else { n - i }, len: if node.needs_gradient { len } else { 0 } });
        keeps.push(Span { from: i, to: if node.needs_gradient || !shared { FOR_GOOD } else { i }, len: kept[i] });
    }
    for (i, node) in nodes.iter().enumerate().filter(|(_, node)| node.op.is_some()) {
        let backward = node.needs_gradient;
        if backward && reads[i].result() {
            values[i].to = FOR_GOOD;
        }
        for &input in &node.inputs {
            values[input].to = if backward && reads[i].inputs() { FOR_GOOD } else { values[input].to.max(i) };
            if backward {
                adjoints[input].from = adjoints[input].from.min(n - i);
            }
        }
    }
    let (values, adjoints, keeps) = (place(&values), place(&adjoints), place(&keeps));
    (memory.values, memory.adjoints, memory.kept, memory.scratch) = (values.1, adjoints.1, keeps.1, scratch);
    for (((node, value), adjoint), kept) in nodes.iter_mut().zip(values.0).zip(adjoints.0).zip(keeps.0) {
        (node.value, node.adjoint, node.kept) = (value, adjoint, kept);
    }
}

/// Places for all spans, and how much memory they take.
fn place(spans: &[Span]) -> (Vec<Range<usize>>, usize) {
    let mut order: Vec<usize> = (0..spans.len()).filter(|i| spans[*i].len > 0).collect();
    order.sort_by_key(|i| (std::cmp::Reverse(spans[*i].len), *i));
    let mut places = vec![0..0; spans.len()];
    let mut placed: Vec<usize> = vec![];
    let mut total = 0;
    for i in order {
        let Span { from, to, len } = spans[i];
        // `placed` is sorted by place: the first gap that is wide enough.
        let mut at: usize = 0;
        for &j in placed.iter().filter(|j| spans[**j].from <= to && from <= spans[**j].to) {
            if places[j].start >= at.saturating_add(len) {
                break;
            }
            at = at.max(places[j].end.next_multiple_of(ALIGN));
        }
        places[i] = at..at + len;
        total = total.max(places[i].end);
        let slot = placed.partition_point(|j| places[*j].start <= at);
        placed.insert(slot, i);
    }
    (places, total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Stream};

    #[test]
    fn buffers_alive_at_the_same_time_never_overlap() {
        let mut random = Stream::new(5, Purpose::Test, 0, 0);
        for _ in 0..200 {
            let count = 1 + random.below(40);
            let spans: Vec<Span> = (0..count)
                .map(|_| {
                    let from = random.below(50);
                    let to = if random.below(8) == 0 { FOR_GOOD } else { from + random.below(10) };
                    Span { from, to, len: random.below(100) }
                })
                .collect();
            let (places, total) = place(&spans);
            for (i, (a, pa)) in spans.iter().zip(&places).enumerate() {
                assert!(pa.len() == a.len && pa.end <= total && (a.len == 0 || pa.start % ALIGN == 0));
                for (b, pb) in spans.iter().zip(&places).skip(i + 1) {
                    let (time, space) = (a.from <= b.to && b.from <= a.to, pa.start < pb.end && pb.start < pa.end);
                    assert!(!(time && space), "{a:?} at {pa:?}, {b:?} at {pb:?}");
                }
            }
            // Not below what is alive at once, nor above one buffer each.
            let alive = (0..64).map(|t| spans.iter().filter(|s| s.from <= t && t <= s.to).map(|s| s.len).sum::<usize>()).max();
            let each = spans.iter().map(|s| s.len.next_multiple_of(ALIGN)).sum::<usize>();
            assert!(alive.is_some_and(|alive| alive <= total) && total <= each, "{alive:?} {total} {each}");
        }
    }

    #[test]
    fn a_chain_of_equal_buffers_takes_two() {
        let spans: Vec<Span> = (0..20).map(|i| Span { from: i, to: i + 1, len: 32 }).collect();
        assert_eq!(place(&spans).1, 64);
    }
}
