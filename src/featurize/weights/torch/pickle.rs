//! Python pickles as data. Every call a pickle asks for becomes a node naming the callable and its
//! arguments; nothing is imported, built or run.
//!
//! Opcodes: CPython's `Lib/pickletools.py`, protocols 0 to 5.

mod machine;

use crate::{Error, ErrorKind, Result, Stage};
use alloc::{format, vec::Vec};
use machine::Machine;

/// Index of a [`Node`] in its [`Pickle`].
pub(super) type Id = u32;

/// Most opcodes, nodes and stack entries a pickle may need; a state dict of 10,000 tensors needs
/// half a million.
const LIMIT: usize = 2 << 20;

/// One value of a pickle.
#[derive(Clone, Debug)]
pub(super) enum Node<'a> {
    /// `None`, and values that no checkpoint's meaning depends on (floats, bytes, extension codes).
    Opaque,
    Bool(bool),
    Int(i64),
    /// An integer beyond 64 bits: its little-endian bytes.
    Long(&'a [u8]),
    Str(&'a str),
    Tuple(Vec<Id>),
    /// Lists and sets.
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A class or function by module and name.
    Global(&'a str, &'a str),
    /// A reference the pickle's reader resolves (PyTorch: a storage).
    Persistent(Id),
    /// `function(*arguments)`, with the items set on the result afterwards.
    Call {
        function: Id,
        arguments: Id,
        items: Vec<(Id, Id)>,
        state: Option<Id>,
    },
}

/// A parsed pickle: nodes, the last value, and the number of bytes it took.
pub(super) struct Pickle<'a> {
    nodes: Vec<Node<'a>>,
    pub(super) root: Id,
    pub(super) length: usize,
}

impl<'a> Pickle<'a> {
    /// Parses the pickle at the beginning of `bytes`.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if it is cut or malformed, [`ErrorKind::Limit`] if it has more opcodes
    /// than any checkpoint.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self> {
        let mut machine = Machine::new(bytes);
        for _ in 0..LIMIT {
            if let Some(root) = machine.step()? {
                return Ok(Self { nodes: machine.nodes, root, length: machine.at });
            }
        }
        Err(Error::new(
            ErrorKind::Limit,
            Stage::Weights,
            format!("pickle with more than {LIMIT} opcodes; save only the model's state_dict"),
        ))
    }

    /// A node; [`Node::Opaque`] for an index that isn't there.
    pub(super) fn node(&self, id: Id) -> &Node<'a> {
        self.nodes.get(id as usize).unwrap_or(&Node::Opaque)
    }

    /// Every persistent reference, in order of appearance.
    pub(super) fn persistent(&self) -> impl Iterator<Item = Id> + '_ {
        self.nodes.iter().filter_map(|n| if let Node::Persistent(id) = n { Some(*id) } else { None })
    }

    /// The text of a string node.
    pub(super) fn str(&self, id: Id) -> Option<&'a str> {
        if let Node::Str(s) = self.node(id) { Some(s) } else { None }
    }

    /// A non-negative integer node.
    pub(super) fn index(&self, id: Id) -> Option<usize> {
        if let Node::Int(i) = self.node(id) { usize::try_from(*i).ok() } else { None }
    }

    /// The elements of a tuple or list node.
    pub(super) fn elements(&self, id: Id) -> Option<&[Id]> {
        if let Node::Tuple(v) | Node::List(v) = self.node(id) { Some(v) } else { None }
    }

    /// Module and name of a class or function node.
    pub(super) fn global(&self, id: Id) -> Option<(&'a str, &'a str)> {
        if let Node::Global(module, name) = self.node(id) { Some((module, name)) } else { None }
    }

    /// A call's function and arguments, if the function is a named one.
    pub(super) fn call(&self, id: Id) -> Option<((&'a str, &'a str), &[Id])> {
        let Node::Call { function, arguments, .. } = self.node(id) else { return None };
        Some((self.global(*function)?, self.elements(*arguments)?))
    }

    /// Key and value pairs of a dict or `OrderedDict`.
    pub(super) fn items(&self, id: Id) -> Option<Vec<(Id, Id)>> {
        match self.node(id) {
            Node::Dict(items) => Some(items.clone()),
            Node::Call { items, .. } => {
                let (("collections", "OrderedDict"), arguments) = self.call(id)? else { return None };
                // Python 2 gives the pairs as an argument, Python 3 sets them afterwards.
                let mut all: Vec<(Id, Id)> = match arguments.first() {
                    Some(&pairs) => self
                        .elements(pairs)?
                        .iter()
                        .filter_map(|&p| match self.elements(p) {
                            Some(&[k, v]) => Some((k, v)),
                            _ => None,
                        })
                        .collect(),
                    None => Vec::new(),
                };
                all.extend_from_slice(items);
                Some(all)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
