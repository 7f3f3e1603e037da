//! Peephole fusion: an operation takes over the one whose result it alone reads.
//!
//! One walk over the list, in its order. Where a node's result is read once, by one node, and nobody asked to
//! keep it, the reader may [fuse](super::Op::fuse) with it: a sum behind a matrix product becomes a linear
//! layer, an activation behind that its activation, two functions of single elements one pass over memory.
//! The fused node stays on the list as a name.

use super::program::Node;
use crate::Real;

pub fn fuse<R: Real>(nodes: &mut [Node<R>]) {
    let mut readers = vec![0; nodes.len()];
    nodes.iter().flat_map(|node| &node.inputs).for_each(|i| readers[*i] += 1);
    for reader in 0..nodes.len() {
        while let Some((producer, inputs, op)) = fusion(nodes, &readers, reader) {
            nodes[producer].op = None;
            for node in nodes[..reader].iter_mut().filter(|node| node.fused == Some(producer)) {
                node.fused = Some(reader);
            }
            nodes[producer].fused = Some(reader);
            nodes[reader].inputs = inputs;
            nodes[reader].op = Some(op);
        }
    }
}

type Fusion<R> = (usize, Vec<usize>, Box<dyn super::Op<R>>);

/// The first of a node's inputs that can be computed on the way, and what the node becomes.
fn fusion<R: Real>(nodes: &[Node<R>], readers: &[usize], reader: usize) -> Option<Fusion<R>> {
    let node = &nodes[reader];
    let op = node.op.as_deref()?;
    node.inputs.iter().enumerate().find_map(|(at, &producer)| {
        let from = &nodes[producer];
        let first = from.op.as_deref().filter(|_| readers[producer] == 1 && !from.lasting)?;
        let inputs = [&node.inputs[..at], &from.inputs[..], &node.inputs[at + 1..]].concat();
        let fused = op.fuse(at, first)?;
        let shapes: Vec<&[usize]> = inputs.iter().map(|i| nodes[*i].shape.as_slice()).collect();
        (fused.shape(&shapes).as_ref() == Ok(&node.shape)).then_some((producer, inputs, fused))
    })
}
