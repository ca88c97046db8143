//! What does a declaration say, whichever form it is written in?

/// A part of the declaration, with the line that it begins in, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Located<T> {
    pub(super) line: usize,
    pub(super) value: T,
}

impl<T> Located<T> {
    pub(super) fn new(line: usize, value: T) -> Self {
        Self { line, value }
    }
}

/// A text in its place.
pub(super) type Word = Located<String>;

/// What a declaration says, before it is checked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Document {
    pub(super) name: Option<Word>,
    pub(super) tables: Option<Word>,
    pub(super) partitions: Option<Located<i64>>,
    /// How personal data is forgotten, where no handler says it.
    pub(super) personal: Option<Word>,
    pub(super) category: Option<Word>,
    pub(super) stream_prefix: Option<Word>,
    pub(super) tags: Vec<Word>,
    /// Names for paths that cannot be written in SQL.
    pub(super) aliases: Vec<(Word, Vec<String>)>,
    pub(super) handlers: Vec<HandlerText>,
}

/// What it says of some types of events.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HandlerText {
    pub(super) on: Word,
    pub(super) types: Vec<Word>,
    /// Statements, one each.
    pub(super) run: Vec<Word>,
    pub(super) changed: Vec<Word>,
    pub(super) optional: Vec<Word>,
    pub(super) versions: Vec<u32>,
}

/// The number of the line that a byte of `text` is in.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    1 + text.as_bytes()[..at.min(text.len())].iter().filter(|&&byte| byte == b'\n').count()
}
