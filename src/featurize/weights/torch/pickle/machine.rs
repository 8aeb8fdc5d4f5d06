//! The stack machine a pickle is a program for.

use super::{Id, LIMIT, Node};
use crate::featurize::weights::stored::{corrupt, unsupported};
use crate::{Error, Result};
use alloc::{collections::BTreeMap, format, vec::Vec};

pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    pub(super) at: usize,
    pub(super) nodes: Vec<Node<'a>>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: BTreeMap<u64, Id>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, nodes: Vec::new(), stack: Vec::new(), marks: Vec::new(), memo: BTreeMap::new() }
    }

    /// Runs one opcode; the pickle's value at its end.
    pub(super) fn step(&mut self) -> Result<Option<Id>> {
        let opcode = self.byte()?;
        match opcode {
            b'.' => return self.pop().map(Some),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => {
                // After a mark without values, POP removes the mark.
                match self.marks.last() {
                    Some(&m) if m == self.stack.len() => drop(self.marks.pop()),
                    _ => drop(self.pop()?),
                }
            }
            b'1' => drop(self.pop_mark()?),
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }
            b'N' => self.push(Node::Opaque)?,
            0x88 => self.push(Node::Bool(true))?,
            0x89 => self.push(Node::Bool(false))?,
            b'I' => {
                let line = self.line()?;
                let node = match line {
                    "00" => Node::Bool(false),
                    "01" => Node::Bool(true),
                    text => text.parse().map_or(Node::Opaque, Node::Int),
                };
                self.push(node)?;
            }
            b'L' => {
                let line = self.line()?;
                let digits = line.strip_suffix('L').unwrap_or(line);
                self.push(digits.parse().map_or(Node::Opaque, Node::Int))?;
            }
            b'F' => {
                self.line()?;
                self.push(Node::Opaque)?;
            }
            b'G' => {
                self.take(8)?;
                self.push(Node::Opaque)?;
            }
            b'J' => {
                let v = i32::from_le_bytes(self.array()?);
                self.push(Node::Int(v.into()))?;
            }
            b'K' => {
                let v = self.byte()?;
                self.push(Node::Int(v.into()))?;
            }
            b'M' => {
                let v = u16::from_le_bytes(self.array()?);
                self.push(Node::Int(v.into()))?;
            }
            0x8a => {
                let n = self.byte()?;
                self.long(n.into())?;
            }
            0x8b => {
                let n = self.length4()?;
                self.long(n)?;
            }
            b'S' => {
                let line = self.line()?;
                let unquoted = line
                    .strip_prefix(['\'', '"'])
                    .and_then(|l| l.strip_suffix(['\'', '"']))
                    .ok_or_else(|| self.malformed("an unquoted string"))?;
                self.push(Node::Str(unquoted))?;
            }
            b'V' => {
                let line = self.line()?;
                self.push(Node::Str(line))?;
            }
            b'U' | b'C' | 0x8c => {
                let n = self.byte()?;
                self.text(n.into(), opcode == b'C')?;
            }
            b'T' | b'B' | b'X' => {
                let n = self.length4()?;
                self.text(n, opcode == b'B')?;
            }
            0x8d | 0x8e | 0x96 => {
                let n = self.length8()?;
                self.text(n, opcode != 0x8d)?;
            }
            0x97 => self.push(Node::Opaque)?,
            0x98 => {}
            b')' => self.push(Node::Tuple(Vec::new()))?,
            b't' => {
                let items = self.pop_mark()?;
                self.push(Node::Tuple(items))?;
            }
            0x85..=0x87 => {
                let n = usize::from(opcode) - 0x84;
                let items = self.pop_many(n)?;
                self.push(Node::Tuple(items))?;
            }
            b']' | 0x8f => self.push(Node::List(Vec::new()))?,
            b'l' | 0x91 => {
                let items = self.pop_mark()?;
                self.push(Node::List(items))?;
            }
            b'}' => self.push(Node::Dict(Vec::new()))?,
            b'd' => {
                let items = self.pop_mark()?;
                self.push(Node::Dict(pairs(&items)))?;
            }
            b'a' => {
                let item = self.pop()?;
                self.append(&[item])?;
            }
            b'e' | 0x90 => {
                let items = self.pop_mark()?;
                self.append(&items)?;
            }
            b's' => {
                let items = self.pop_many(2)?;
                self.set(&pairs(&items))?;
            }
            b'u' => {
                let items = self.pop_mark()?;
                self.set(&pairs(&items))?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Node::Global(module, name))?;
            }
            0x93 => {
                let names = self.pop_many(2)?;
                let text = |i: usize| names.get(i).and_then(|&id| self.nodes.get(id as usize));
                let node = match (text(0), text(1)) {
                    (Some(Node::Str(module)), Some(Node::Str(name))) => Node::Global(module, name),
                    _ => return Err(self.malformed("a global without a name")),
                };
                self.push(node)?;
            }
            b'R' | 0x81 => {
                let parts = self.pop_many(2)?;
                self.call(&parts)?;
            }
            0x92 => {
                // The keyword arguments stay unread.
                let parts = self.pop_many(3)?;
                self.call(&parts)?;
            }
            b'o' => {
                let items = self.pop_mark()?;
                let Some((&function, rest)) = items.split_first() else {
                    return Err(self.malformed("an object without a class"));
                };
                let arguments = self.add(Node::Tuple(rest.to_vec()))?;
                self.call(&[function, arguments])?;
            }
            b'i' => {
                let (module, name) = (self.line()?, self.line()?);
                let items = self.pop_mark()?;
                let function = self.add(Node::Global(module, name))?;
                let arguments = self.add(Node::Tuple(items))?;
                self.call(&[function, arguments])?;
            }
            b'b' => {
                let new = self.pop()?;
                let object = self.top()?;
                if let Some(Node::Call { state, .. }) = self.nodes.get_mut(object as usize) {
                    *state = Some(new);
                }
            }
            b'P' => {
                let line = self.line()?;
                let id = self.add(Node::Str(line))?;
                self.push(Node::Persistent(id))?;
            }
            b'Q' => {
                let id = self.pop()?;
                self.push(Node::Persistent(id))?;
            }
            b'p' | b'g' => {
                let line = self.line()?;
                let key = line.parse().map_err(|_| self.malformed("a memo key that is no number"))?;
                self.memo(key, opcode == b'p')?;
            }
            b'q' | b'h' => {
                let key = self.byte()?;
                self.memo(key.into(), opcode == b'q')?;
            }
            b'r' | b'j' => {
                let key = u32::from_le_bytes(self.array()?);
                self.memo(key.into(), opcode == b'r')?;
            }
            0x94 => self.memo(self.memo.len() as u64, true)?,
            0x80 => {
                let protocol = self.byte()?;
                if protocol > 5 {
                    return Err(unsupported(format!("pickle protocol {protocol}; 0 to 5 are known")));
                }
            }
            0x95 => drop(self.take(8)?),
            0x82..=0x84 => {
                self.take([1, 2, 4][usize::from(opcode) - 0x82])?;
                self.push(Node::Opaque)?;
            }
            _ => return Err(self.malformed(&format!("opcode 0x{opcode:02x}"))),
        }
        if self.stack.len() > LIMIT {
            return Err(self.malformed("too deep a stack"));
        }
        Ok(None)
    }

    fn add(&mut self, node: Node<'a>) -> Result<Id> {
        let id = Id::try_from(self.nodes.len()).map_err(|_| self.malformed("too many values"))?;
        self.nodes.push(node);
        Ok(id)
    }

    fn push(&mut self, node: Node<'a>) -> Result<()> {
        let id = self.add(node)?;
        self.stack.push(id);
        Ok(())
    }

    fn call(&mut self, parts: &[Id]) -> Result<()> {
        match *parts {
            [function, arguments, ..] => {
                self.push(Node::Call { function, arguments, items: Vec::new(), state: None })
            }
            _ => Err(self.malformed("a call without arguments")),
        }
    }

    fn append(&mut self, new: &[Id]) -> Result<()> {
        let list = self.top()?;
        if let Some(Node::List(items)) = self.nodes.get_mut(list as usize) {
            items.extend_from_slice(new);
        }
        Ok(())
    }

    fn set(&mut self, new: &[(Id, Id)]) -> Result<()> {
        let dict = self.top()?;
        if let Some(Node::Dict(items) | Node::Call { items, .. }) = self.nodes.get_mut(dict as usize) {
            items.extend_from_slice(new);
        }
        Ok(())
    }

    fn memo(&mut self, key: u64, put: bool) -> Result<()> {
        if put {
            let top = self.top()?;
            self.memo.insert(key, top);
        } else {
            let id = *self.memo.get(&key).ok_or_else(|| self.malformed("an unknown memo key"))?;
            self.stack.push(id);
        }
        Ok(())
    }

    fn long(&mut self, n: usize) -> Result<()> {
        let bytes = self.take(n)?;
        let node = if n <= 8 {
            // Two's complement: extend the sign.
            let fill = if bytes.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
            let mut wide = [fill; 8];
            for (to, from) in wide.iter_mut().zip(bytes) {
                *to = *from;
            }
            Node::Int(i64::from_le_bytes(wide))
        } else {
            Node::Long(bytes)
        };
        self.push(node)
    }

    fn text(&mut self, n: usize, binary: bool) -> Result<()> {
        let bytes = self.take(n)?;
        self.push(match core::str::from_utf8(bytes) {
            Ok(s) if !binary => Node::Str(s),
            _ => Node::Opaque,
        })
    }

    fn length4(&mut self) -> Result<usize> {
        let n = u32::from_le_bytes(self.array()?);
        usize::try_from(n).map_err(|_| self.malformed("a length beyond memory"))
    }

    fn length8(&mut self) -> Result<usize> {
        let n = u64::from_le_bytes(self.array()?);
        usize::try_from(n).map_err(|_| self.malformed("a length beyond memory"))
    }

    fn byte(&mut self) -> Result<u8> {
        self.array::<1>().map(|[b]| b)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.take(N)?;
        bytes.first_chunk().copied().ok_or_else(|| self.malformed("cut short"))
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(n);
        let Some(bytes) = end.and_then(|end| self.bytes.get(self.at..end)) else {
            return Err(corrupt(format!(
                "truncated pickle: {n} bytes needed at byte {}, the file ends at {}; fetch it again",
                self.at,
                self.bytes.len()
            )));
        };
        self.at += n;
        Ok(bytes)
    }

    /// Text up to the next newline, at most 64 KiB away.
    fn line(&mut self) -> Result<&'a str> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let window = rest.get(..rest.len().min(1 << 16)).unwrap_or_default();
        let Some(n) = window.iter().position(|&b| b == b'\n') else {
            return Err(self.malformed("a line without end"));
        };
        let line = self.take(n)?;
        self.take(1)?;
        core::str::from_utf8(line).map_err(|_| self.malformed("a line that is not text"))
    }

    fn top(&self) -> Result<Id> {
        self.stack.last().copied().ok_or_else(|| self.malformed("an empty stack"))
    }

    fn pop(&mut self) -> Result<Id> {
        self.stack.pop().ok_or_else(|| self.malformed("an empty stack"))
    }

    fn pop_many(&mut self, n: usize) -> Result<Vec<Id>> {
        match self.stack.len().checked_sub(n) {
            Some(from) => Ok(self.stack.split_off(from)),
            None => Err(self.malformed("an empty stack")),
        }
    }

    fn pop_mark(&mut self) -> Result<Vec<Id>> {
        match self.marks.pop() {
            Some(from) if from <= self.stack.len() => Ok(self.stack.split_off(from)),
            _ => Err(self.malformed("a missing mark")),
        }
    }

    fn malformed(&self, what: &str) -> Error {
        corrupt(format!("malformed pickle at byte {}: {what}; fetch the file again", self.at))
    }
}

fn pairs(items: &[Id]) -> Vec<(Id, Id)> {
    items.as_chunks::<2>().0.iter().map(|&[k, v]| (k, v)).collect()
}
