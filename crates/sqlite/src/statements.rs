//! How is a projection's statement prepared once and executed often?

use std::collections::HashMap;

use factum_core::read_model::{NamedStatement, Parameters, ReadModelError, Row, Rows};
use rusqlite::{CachedStatement, Connection, Statement};

use crate::error;
use crate::guard::{Guard, Whose};
use crate::value::{Bound, from_sqlite};

/// Most statements whose parameters are remembered; beyond that all are looked at afresh. A projection has a few.
const MAX_KNOWN: usize = 1_024;

/// So many statements are compared one after the other, which costs less than a hash of the text: they differ in length or
/// in their first words.
const COMPARED: usize = 16;

/// The statements that were executed on one connection, by their text. Each was looked at by the guard.
#[derive(Debug)]
pub(crate) struct Statements {
    database: String,
    guard: Guard,
    whose: Whose,
    known: Vec<Known>,
    /// Where in `known` a statement is: for those beyond the first few.
    places: HashMap<String, usize>,
}

/// A statement as SQLite gets it, with the parameter that each of its numbers stands for.
#[derive(Debug)]
struct Known {
    /// As the projection wrote it.
    statement: String,
    sql: String,
    parameters: Vec<Wanted>,
}

#[derive(Debug)]
struct Wanted {
    name: String,
    /// Where it stood among the given parameters the last time: mostly where it stands again.
    last_at: usize,
}

impl Known {
    /// Gives each of the statement's parameters its value, or says which one is missing.
    fn bind(
        &mut self,
        prepared: &mut Statement<'_>,
        parameters: &Parameters<'_>,
    ) -> rusqlite::Result<Option<String>> {
        for (index, wanted) in self.parameters.iter_mut().enumerate() {
            if parameters.get(wanted.last_at).is_none_or(|(name, _)| *name != wanted.name) {
                let Some(at) = parameters.iter().position(|(name, _)| *name == wanted.name) else {
                    return Ok(Some(wanted.name.clone()));
                };
                wanted.last_at = at;
            }
            prepared.raw_bind_parameter(index + 1, Bound(&parameters[wanted.last_at].1))?;
        }
        Ok(None)
    }
}

impl Statements {
    /// For statements of `whose` on the connection that `guard` watches.
    pub(crate) fn new(database: String, guard: Guard, whose: Whose) -> Self {
        Self { database, guard, whose, known: Vec::new(), places: HashMap::new() }
    }

    /// Executes a statement to its end; rows that it gives are dropped.
    pub(crate) fn execute(
        &mut self,
        connection: &Connection,
        statement: &str,
        parameters: &Parameters<'_>,
    ) -> Result<(), ReadModelError> {
        let mut prepared = self.bound(connection, statement, parameters)?;
        let mut rows = prepared.raw_query();
        loop {
            match rows.next() {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(()),
                Err(failure) => return Err(self.failed(statement, &failure)),
            }
        }
    }

    /// Reads the rows of a statement.
    pub(crate) fn query(
        &mut self,
        connection: &Connection,
        statement: &str,
        parameters: &Parameters<'_>,
    ) -> Result<Rows, ReadModelError> {
        let mut prepared = self.bound(connection, statement, parameters)?;
        let columns: Vec<String> = prepared.column_names().map(str::to_owned).collect();
        let mut given = prepared.raw_query();
        let mut rows = Vec::new();
        loop {
            match given.next() {
                Ok(Some(row)) => {
                    let values = (0..columns.len()).map(|column| row.get_ref(column).map(from_sqlite));
                    let row: rusqlite::Result<Row> = values.collect();
                    rows.push(row.map_err(|failure| self.failed(statement, &failure))?);
                }
                Ok(None) => return Ok(Rows { columns, rows }),
                Err(failure) => return Err(self.failed(statement, &failure)),
            }
        }
    }

    /// The statement, prepared and with its parameters given.
    fn bound<'c>(
        &mut self,
        connection: &'c Connection,
        statement: &str,
        parameters: &Parameters<'_>,
    ) -> Result<CachedStatement<'c>, ReadModelError> {
        let place = match self.place_of(statement) {
            Some(place) => place,
            None => self.look_at(connection, statement)?,
        };
        let known = &mut self.known[place];
        let bound = connection.prepare_cached(&known.sql).and_then(|mut prepared| {
            let missing = known.bind(&mut prepared, parameters)?;
            Ok((prepared, missing))
        });
        match bound {
            Ok((prepared, None)) => Ok(prepared),
            Ok((_, Some(parameter))) => {
                Err(ReadModelError::MissingParameter { statement: statement.to_owned(), parameter })
            }
            Err(failure) => Err(self.failed(statement, &failure)),
        }
    }

    fn place_of(&self, statement: &str) -> Option<usize> {
        let first = self.known.iter().take(COMPARED).position(|known| known.statement == statement);
        first.or_else(|| if self.known.len() > COMPARED { self.places.get(statement).copied() } else { None })
    }

    /// Prepares a statement for the first time, watched by the guard: what it may not do is refused here.
    fn look_at(&mut self, connection: &Connection, statement: &str) -> Result<usize, ReadModelError> {
        let refused = |why: &str| {
            Err(ReadModelError::Statement { statement: statement.to_owned(), why: why.to_owned() })
        };
        // Not left to SQLite: with two it would have prepared the first.
        match NamedStatement::split(statement).len() {
            1 => {}
            0 => return refused("there is no statement in it"),
            _ => return refused("there is more than one statement in it: give one at a time"),
        }
        let parsed = NamedStatement::parse(statement);
        let sql = parsed.render(|index| format!("?{}", index + 1));
        let prepared = self.guard.during(self.whose, || connection.prepare(&sql));
        let prepared = prepared.map_err(|failure| self.failed(statement, &failure))?;
        if prepared.parameter_count() != parsed.names.len() {
            return refused("parameters are written as ':' and a name, and not as ?1, @name or $name");
        }
        if self.whose == Whose::Reader && !prepared.readonly() {
            return refused(self.whose.allowed());
        }
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
            self.places.clear();
        }
        let parameters = parsed.names.into_iter().map(|name| Wanted { name, last_at: 0 }).collect();
        let place = self.known.len();
        self.known.push(Known { statement: statement.to_owned(), sql, parameters });
        self.places.insert(statement.to_owned(), place);
        Ok(place)
    }

    fn failed(&self, statement: &str, failure: &rusqlite::Error) -> ReadModelError {
        error::of_statement(&self.database, statement, self.whose.allowed(), failure)
    }
}
