//! What may a statement do that is not ours?

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

/// The start of the names of our own tables, beside a projection's.
pub(crate) const OURS: &str = "_factum_";

/// Whose statement is prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Whose {
    /// Ours: it may do everything.
    Ours = 0,
    /// What makes a projection's tables.
    Tables = 1,
    /// What a projection does with their rows.
    Rows = 2,
    /// A reader's.
    Reader = 3,
}

impl Whose {
    /// What it may do, for messages.
    pub(crate) fn allowed(self) -> &'static str {
        match self {
            Whose::Ours => "everything",
            Whose::Tables => {
                "the statements that make tables may make and fill tables, indexes, views and triggers, and nothing \
                 else"
            }
            Whose::Rows => {
                "a projection's statement may read and change the rows of its own tables, and nothing else"
            }
            Whose::Reader => "a reader may only read the tables of the projections",
        }
    }
}

/// Watches what is prepared on one connection. Statements are prepared as ours unless it is said otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Guard(Arc<AtomicU8>);

impl Guard {
    /// Watches `connection` from now on.
    pub(crate) fn install(connection: &mut Connection) -> rusqlite::Result<Self> {
        let whose = Arc::new(AtomicU8::new(Whose::Ours as u8));
        let seen = Arc::clone(&whose);
        connection.authorizer(Some(move |context: AuthContext<'_>| {
            let may = match seen.load(Ordering::Relaxed) {
                1 => may_make_tables(&context),
                2 => may_change_rows(&context),
                3 => may_read(&context),
                _ => true,
            };
            if may { Authorization::Allow } else { Authorization::Deny }
        }))?;
        Ok(Self(whose))
    }

    /// Prepares what is prepared within `run` as a statement of `whose`.
    pub(crate) fn during<T>(&self, whose: Whose, run: impl FnOnce() -> T) -> T {
        self.0.store(whose as u8, Ordering::Relaxed);
        let done = run();
        self.0.store(Whose::Ours as u8, Ordering::Relaxed);
        done
    }
}

fn may_read(context: &AuthContext<'_>) -> bool {
    match context.action {
        AuthAction::Select | AuthAction::Recursive => true,
        AuthAction::Read { table_name, .. } => !is_ours(table_name) && !begins(table_name, "pragma_"),
        AuthAction::Function { function_name } => !function_name.eq_ignore_ascii_case("load_extension"),
        // Full text search asks for it before each use.
        AuthAction::Pragma { pragma_name, pragma_value } => {
            pragma_name.eq_ignore_ascii_case("data_version") && pragma_value.is_none()
        }
        _ => false,
    }
}

fn may_change_rows(context: &AuthContext<'_>) -> bool {
    match context.action {
        AuthAction::Insert { table_name }
        | AuthAction::Delete { table_name }
        | AuthAction::Update { table_name, .. } => !is_ours(table_name) && !is_schema(table_name),
        _ => may_read(context),
    }
}

fn may_make_tables(context: &AuthContext<'_>) -> bool {
    match context.action {
        AuthAction::CreateTable { table_name: name }
        | AuthAction::DropTable { table_name: name }
        | AuthAction::AlterTable { table_name: name, .. }
        | AuthAction::CreateVtable { table_name: name, .. }
        | AuthAction::DropVtable { table_name: name, .. }
        | AuthAction::CreateView { view_name: name }
        | AuthAction::DropView { view_name: name } => !is_ours(name),
        AuthAction::CreateIndex { index_name, table_name }
        | AuthAction::DropIndex { index_name, table_name } => !is_ours(index_name) && !is_ours(table_name),
        AuthAction::CreateTrigger { trigger_name, table_name }
        | AuthAction::DropTrigger { trigger_name, table_name } => {
            !is_ours(trigger_name) && !is_ours(table_name)
        }
        AuthAction::Reindex { .. } => true,
        // Making a table writes a row into the schema's own table, and looks for its name there.
        AuthAction::Insert { table_name }
        | AuthAction::Delete { table_name }
        | AuthAction::Update { table_name, .. } => !is_ours(table_name),
        _ => may_read(context),
    }
}

fn is_ours(name: &str) -> bool {
    begins(name, OURS)
}

fn is_schema(name: &str) -> bool {
    begins(name, "sqlite_")
}

/// Whether `name` begins with `start`, in capitals or not.
fn begins(name: &str, start: &str) -> bool {
    name.get(..start.len()).is_some_and(|found| found.eq_ignore_ascii_case(start))
}
