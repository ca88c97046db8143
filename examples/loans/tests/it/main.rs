//! Tests of the loan book: its rules by example, and the whole real log where it is there.

mod real_log;
mod rules;
