//! How rows become columns that fit the terminal.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Rows that are looked at before the widths are fixed; later rows are cut to them, so that memory stays bounded.
const SAMPLE_ROWS: usize = 100;
/// No column is made narrower than this, in terminal columns.
const MIN_WIDTH: usize = 8;
const GAP: &str = "  ";

/// Rows on their way to the terminal.
pub(crate) struct Table {
    titles: Vec<String>,
    /// Fixed once enough rows were seen.
    widths: Option<Vec<usize>>,
    sample: Vec<Vec<String>>,
    total: usize,
}

impl Table {
    /// A table of these columns that is at most `total` wide.
    pub(crate) fn new(titles: &[&str], total: usize) -> Self {
        let titles = titles.iter().map(|&title| title.to_owned()).collect();
        Self { titles, widths: None, sample: Vec::new(), total }
    }

    /// The columns' names.
    pub(crate) fn titles(&self) -> impl Iterator<Item = &str> {
        self.titles.iter().map(String::as_str)
    }

    /// Takes a row and gives back the text that can be shown by now.
    pub(crate) fn push(&mut self, row: &[String]) -> String {
        let row: Vec<String> = row.iter().map(|cell| clean(cell)).collect();
        if let Some(widths) = &self.widths {
            return line(&row, widths);
        }
        self.sample.push(row);
        if self.sample.len() < SAMPLE_ROWS { String::new() } else { self.finish() }
    }

    /// Gives back the rest. A table without rows shows nothing.
    pub(crate) fn finish(&mut self) -> String {
        if self.widths.is_some() || self.sample.is_empty() {
            return String::new();
        }
        let mut widths: Vec<usize> = self.titles.iter().map(|title| heading(title).width()).collect();
        for row in &self.sample {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        fit(&mut widths, self.total);
        let header: Vec<String> = self.titles.iter().map(|title| heading(title)).collect();
        let mut text = line(&header, &widths);
        for row in self.sample.drain(..) {
            text.push_str(&line(&row, &widths));
        }
        self.widths = Some(widths);
        text
    }
}

/// A column's name as people read it: `lastType` becomes `LAST TYPE`.
fn heading(title: &str) -> String {
    let mut text = String::new();
    for character in title.chars() {
        if character.is_uppercase() {
            text.push(' ');
        }
        text.extend(character.to_uppercase());
    }
    text
}

/// Takes from the widest column until all fit, or none can give.
fn fit(widths: &mut [usize], total: usize) {
    let gaps = GAP.len() * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > total {
        let Some(widest) = widths.iter_mut().filter(|width| **width > MIN_WIDTH).max() else { return };
        *widest -= 1;
    }
}

fn line(row: &[String], widths: &[usize]) -> String {
    let mut text = String::new();
    for (i, (cell, width)) in row.iter().zip(widths).enumerate() {
        if i > 0 {
            text.push_str(GAP);
        }
        let cell = cut(cell, *width);
        let padding = width.saturating_sub(cell.width());
        text.push_str(&cell);
        text.extend(std::iter::repeat_n(' ', padding));
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// The text in at most `width` columns; what is too long loses its middle.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(1);
    let head = take(text.chars(), room - room / 2);
    let tail: String = take(text.chars().rev(), room / 2).chars().rev().collect();
    format!("{head}\u{2026}{tail}")
}

fn take(characters: impl Iterator<Item = char>, room: usize) -> String {
    let mut used = 0;
    characters
        .take_while(|character| {
            used += character.width().unwrap_or(0);
            used <= room
        })
        .collect()
}

/// The text without anything that could steer the terminal.
pub(crate) fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { if c.is_whitespace() { ' ' } else { '\u{fffd}' } } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_fit_and_the_middle_goes() {
        let mut table = Table::new(&["rev", "data"], 20);
        assert_eq!(table.push(&["1".into(), "abcdefghijklmnopqrstuvwxyz".into()]), "");
        let text = table.finish();
        assert_eq!(text, "REV  DATA\n1    abcdefg\u{2026}tuvwxyz\n");
        assert!(text.lines().all(|line| line.width() <= 20), "{text}");
        assert_eq!(table.push(&["22222".into(), "x".into()]), "2\u{2026}2  x\n");
    }

    #[test]
    fn wide_characters_count_twice_and_control_characters_vanish() {
        assert_eq!(cut("日本語日本語", 5), "日\u{2026}語");
        assert_eq!(clean("a\u{1b}[31mb\nc"), "a\u{fffd}[31mb c");
        assert_eq!(cut("short", 9), "short");
        assert_eq!(cut("x", 0), "\u{2026}");
    }

    #[test]
    fn headings_are_words() {
        assert_eq!(heading("lastRevision"), "LAST REVISION");
        assert_eq!(heading("type"), "TYPE");
    }

    #[test]
    fn nothing_is_shown_of_no_rows() {
        assert_eq!(Table::new(&["a"], 80).finish(), "");
    }
}
