//! One read of the log in memory: everything it will give is picked when it starts.

use std::collections::VecDeque;

use crate::read_plan::ReadPlan;
use crate::store::BoxFuture;
use crate::{Direction, EventReader, Page, Position, Read, ReadError, ReadHead, RecordedEvent, Timestamp};

use super::log::Log;

/// Most events in one page.
const PAGE_EVENTS: usize = 256;

pub(super) struct MemoryReader {
    head: ReadHead,
    direction: Direction,
    events: VecDeque<RecordedEvent>,
    /// Forwards: where looking ends, if the limit does not end it before.
    to: Position,
}

impl MemoryReader {
    pub(super) fn new(log: &Log, read: &Read, now: Timestamp) -> Result<Self, ReadError> {
        let plan = ReadPlan::new(read, log, now)?;
        let selected = log.selected(&read.selector, plan.from, plan.to).filter(|event| plan.shows(event));
        let limit = usize::try_from(plan.limit).unwrap_or(usize::MAX);
        let events: VecDeque<_> = match read.direction {
            Direction::Forwards => selected.take(limit).cloned().collect(),
            Direction::Backwards => {
                let all: Vec<_> = selected.collect();
                all.into_iter().rev().take(limit).cloned().collect()
            }
        };
        let stopped_by_limit = events.len() == limit;
        let to = match events.back() {
            Some(last) if stopped_by_limit => last.position().next(),
            None if stopped_by_limit => plan.from,
            _ => plan.to,
        };
        Ok(Self { head: plan.head, direction: read.direction, events, to })
    }

    fn page(&mut self) -> Option<Page> {
        if self.events.is_empty() {
            return None;
        }
        let events: Vec<_> = self.events.drain(..self.events.len().min(PAGE_EVENTS)).collect();
        let examined_to = match (self.direction, events.last()) {
            (Direction::Forwards, Some(last)) if !self.events.is_empty() => last.position().next(),
            (Direction::Forwards, _) => self.to,
            (Direction::Backwards, _) => Position::START,
        };
        Some(Page { events, examined_to })
    }
}

impl EventReader for MemoryReader {
    fn head(&self) -> &ReadHead {
        &self.head
    }

    fn next_page(&mut self) -> BoxFuture<'_, Result<Option<Page>, ReadError>> {
        let page = self.page();
        Box::pin(std::future::ready(Ok(page)))
    }
}
