//! Which positions does a reader look at next? Cursors over one key, over all of several, over any of several.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::sync::Arc;

use factum_core::Direction;

use super::error::IndexError;
use super::key::KeyHash;
use super::layers::Layers;
use super::list::List;

/// Candidate positions in one direction, each once, lazily: nothing is read before it is asked for.
#[derive(Debug)]
pub(crate) enum Cursor {
    /// The postings of one key.
    Key(KeyCursor),
    /// What is in all of several.
    All(AllCursor),
    /// What is in any of several.
    Any(AnyCursor),
}

impl Cursor {
    /// What is in all of `cursors`, which have the same range and direction. One at least.
    pub(super) fn all(mut cursors: Vec<Cursor>) -> Cursor {
        match (cursors.pop(), cursors.is_empty()) {
            (Some(only), true) => only,
            (Some(last), false) => {
                cursors.push(last);
                Cursor::All(AllCursor { cursors })
            }
            (None, _) => Cursor::any(Vec::new(), Direction::Forwards),
        }
    }

    /// What is in any of `cursors`, which have the same range and direction. None: nothing is.
    pub(super) fn any(mut cursors: Vec<Cursor>, direction: Direction) -> Cursor {
        match (cursors.pop(), cursors.is_empty()) {
            (Some(only), true) => only,
            (last, _) => {
                cursors.extend(last);
                Cursor::Any(AnyCursor {
                    cursors,
                    direction,
                    heads: BinaryHeap::new(),
                    begun: false,
                    target: None,
                })
            }
        }
    }

    /// The next position.
    ///
    /// # Errors
    /// `IndexError` where a run cannot be read. The cursor is not to be used after that.
    pub(crate) fn next(&mut self) -> Result<Option<u64>, IndexError> {
        match self {
            Cursor::Key(cursor) => cursor.next(),
            Cursor::All(cursor) => cursor.next(),
            Cursor::Any(cursor) => cursor.next(),
        }
    }

    /// Goes on to `position`: what comes next is at it or beyond it. A position that has been passed changes nothing.
    pub(crate) fn seek(&mut self, position: u64) {
        match self {
            Cursor::Key(cursor) => cursor.seek(position),
            Cursor::All(cursor) => cursor.seek(position),
            Cursor::Any(cursor) => cursor.seek(position),
        }
    }
}

/// The postings of one key in a range of positions.
#[derive(Debug)]
pub(crate) struct KeyCursor {
    layers: Arc<Layers>,
    key: KeyHash,
    direction: Direction,
    /// What may still come.
    range: Range<u64>,
    /// The key's list in the layer that is being read.
    current: Option<List>,
    /// Layers that have not been looked at yet, so far as they lie in the range.
    ahead: Range<usize>,
}

impl KeyCursor {
    pub(super) fn new(layers: Arc<Layers>, key: KeyHash, range: Range<u64>, direction: Direction) -> Self {
        let ahead = 0..layers.len();
        Self { layers, key, direction, range, current: None, ahead }
    }

    /// The next position, as `Cursor::next`.
    pub(crate) fn next(&mut self) -> Result<Option<u64>, IndexError> {
        while !self.range.is_empty() {
            if self.current.is_none() && !self.next_layer()? {
                break;
            }
            let Some(list) = &mut self.current else { break };
            let found = match self.direction {
                Direction::Forwards => list.ceiling(self.range.start)?,
                Direction::Backwards => list.before(self.range.end)?,
            };
            match found.filter(|position| self.range.contains(position)) {
                Some(position) => {
                    match self.direction {
                        Direction::Forwards => self.range.start = position + 1,
                        Direction::Backwards => self.range.end = position,
                    }
                    return Ok(Some(position));
                }
                None => self.current = None,
            }
        }
        self.range.end = self.range.start;
        self.current = None;
        Ok(None)
    }

    /// As `Cursor::seek`.
    pub(crate) fn seek(&mut self, position: u64) {
        match self.direction {
            Direction::Forwards => self.range.start = self.range.start.max(position),
            Direction::Backwards => self.range.end = self.range.end.min(position.saturating_add(1)),
        }
    }

    /// Looks for the next layer that has the key; `false`: there is none.
    fn next_layer(&mut self) -> Result<bool, IndexError> {
        loop {
            let next = match self.direction {
                Direction::Forwards => self.ahead.next(),
                Direction::Backwards => self.ahead.next_back(),
            };
            let Some(number) = next else { return Ok(false) };
            let layer = &self.layers[number];
            if layer.from >= self.range.end || layer.to <= self.range.start {
                continue;
            }
            if let Some(list) = layer.find(self.key)? {
                self.current = Some(list);
                return Ok(true);
            }
        }
    }
}

/// What is in all of several cursors. Each in turn is moved on to where the others are, so that the rarest sets the pace.
#[derive(Debug)]
pub(crate) struct AllCursor {
    cursors: Vec<Cursor>,
}

impl AllCursor {
    fn next(&mut self) -> Result<Option<u64>, IndexError> {
        let Some(first) = self.cursors.first_mut() else { return Ok(None) };
        let Some(mut candidate) = first.next()? else { return Ok(None) };
        let (mut agreed, mut turn) = (1, 1);
        while agreed < self.cursors.len() {
            let number = turn % self.cursors.len();
            let cursor = &mut self.cursors[number];
            cursor.seek(candidate);
            match cursor.next()? {
                None => return Ok(None),
                Some(position) if position == candidate => agreed += 1,
                Some(position) => (candidate, agreed) = (position, 1),
            }
            turn += 1;
        }
        // Every cursor stands just behind the candidate: none of them can give it again.
        Ok(Some(candidate))
    }

    fn seek(&mut self, position: u64) {
        if let Some(first) = self.cursors.first_mut() {
            first.seek(position);
        }
    }
}

/// What is in any of several cursors.
#[derive(Debug)]
pub(crate) struct AnyCursor {
    cursors: Vec<Cursor>,
    direction: Direction,
    /// The next position of each cursor that has one, the nearest on top.
    heads: BinaryHeap<(Reverse<u64>, usize)>,
    begun: bool,
    target: Option<u64>,
}

impl AnyCursor {
    fn next(&mut self) -> Result<Option<u64>, IndexError> {
        if !self.begun {
            self.begun = true;
            for number in 0..self.cursors.len() {
                self.advance(number)?;
            }
        }
        if let Some(target) = self.target.take() {
            let target = self.rank(target);
            while self.heads.peek().is_some_and(|(head, _)| head.0 < target) {
                let Some((_, number)) = self.heads.pop() else { break };
                let position = self.rank(target);
                self.cursors[number].seek(position);
                self.advance(number)?;
            }
        }
        let Some(&(nearest, _)) = self.heads.peek() else { return Ok(None) };
        while let Some(&(head, number)) = self.heads.peek()
            && head == nearest
        {
            self.heads.pop();
            self.advance(number)?;
        }
        Ok(Some(self.rank(nearest.0)))
    }

    fn seek(&mut self, position: u64) {
        if self.begun {
            // Cursors are moved when the next position is asked for: errors come from there only.
            let farther = self.target.is_none_or(|target| self.rank(target) < self.rank(position));
            if farther {
                self.target = Some(position);
            }
        } else {
            self.cursors.iter_mut().for_each(|cursor| cursor.seek(position));
        }
    }

    fn advance(&mut self, number: usize) -> Result<(), IndexError> {
        if let Some(position) = self.cursors[number].next()? {
            self.heads.push((Reverse(self.rank(position)), number));
        }
        Ok(())
    }

    /// Turns the order around for a backwards cursor, so that the nearest position has the lowest rank; its own inverse.
    fn rank(&self, position: u64) -> u64 {
        match self.direction {
            Direction::Forwards => position,
            Direction::Backwards => u64::MAX - position,
        }
    }
}
