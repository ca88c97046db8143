//! `factum sql`: a question to the read models that serve.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use factum::{Observer, Waited};
use factum_core::read_model::{NamedStatement, ProjectionName, ReadModels, Role, Rows, Value, Version};
use factum_core::{Checkpoint, Clock, SystemClock};
use factum_server::value_of_row;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::moment::{duration, elapsed_since};
use crate::output::Record;
use crate::projections::{Applying, known, not_ready};
use crate::read_models::{ReadModelsArgs, Want, least, next, serving, versions_of};
use crate::store::Access;

const EXAMPLES: &str = "EXAMPLES:
  factum sql 'select * from balances order by cents desc limit 10'
  factum sql 'select cents from balances where account = :a' --param a='\"7\"' -o raw
  Read what you have just written:
    token=$(factum append account-7 FundsDeposited '{\"amount\":5}' --format '{token}')
    factum sql 'select * from balances' --after \"$token\" --wait 2s";

/// Ask the read models that serve, in SQL; nothing can be changed
///
/// Each projection's tables are in a schema of its name (balances.balances), and also without it. With --after, waits
/// until the rows hold everything up to the token that an append printed: woken by whoever applies the projections, or
/// applying them itself where no other process has the log open. Where the time is over first, it exits with 7; a
/// projection that stands still or is stopped is told at once.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SqlArgs {
    /// The query; '-' for stdin, '@FILE' for a file
    query: String,
    /// A value for :K in the query, several times for several: a number, true, false, null, a "text", or else text
    #[arg(long, value_name = "K=V", value_parser = parameter)]
    param: Vec<(String, Value<'static>)>,
    /// Wait until the rows hold everything up to this token
    #[arg(long, value_name = "TOKEN")]
    after: Option<String>,
    /// How long to wait for the token
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration, requires = "after")]
    wait: Duration,
    /// See only these projections, and wait for all of them; several times for several [default: see all, and wait for those
    /// that the query names, or a table of]
    #[arg(long, value_name = "NAME")]
    projection: Vec<ProjectionName>,
    #[command(flatten)]
    read_models: ReadModelsArgs,
}

/// Most projections that a query sees without being told which: SQLite attaches no more files.
const SEEN_TOGETHER: usize = 10;

/// Runs the command.
pub(crate) async fn run(args: &SqlArgs, context: &Context) -> Result<(), Failure> {
    let query = crate::context::argument_text("the query", &args.query)?;
    if NamedStatement::split(&query).len() != 1 {
        return Err(Failure::usage("nothing was asked", "give one statement", "such as 'select 1'"));
    }
    let token = args.after.as_deref().map(str::parse::<Checkpoint>).transpose()?;
    let read_models = args.read_models.open(context, Want::Existing)?;
    let seen = seen(args, &*read_models, &query)?;
    if let Some(token) = &token {
        let asked = match args.projection[..] {
            [] => asked(&*read_models, &seen, &query)?,
            _ => seen.iter().collect(),
        };
        wait(context, &read_models, &asked, token, args.wait).await?;
    }
    let versions: Vec<_> = seen.iter().map(|version| (version.name.clone(), version.number)).collect();
    let parameters: Vec<(&str, Value<'_>)> =
        args.param.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    let (rows, progress) = read_models.reader(&versions)?.query(&query, &parameters).map_err(|error| {
        let failure = Failure::from(error);
        if failure.slug == "bad-sql" {
            let names: Vec<&str> = seen.iter().map(|version| version.name.as_str()).collect();
            failure.about("the query failed").advise(format!("the projections are: {}", names.join(", ")))
        } else {
            failure
        }
    })?;
    if context.shows_progress() {
        for (version, progress) in seen.iter().zip(&progress) {
            context.say(&format!("{}: up to position {}", version.name, next(&progress.applied)));
        }
    }
    print(context, &rows)
}

/// The versions that the query sees: what serves of the projections named, or of all.
fn seen(args: &SqlArgs, read_models: &dyn ReadModels, query: &str) -> Result<Vec<Version>, Failure> {
    if !args.projection.is_empty() {
        let serving =
            |name: &ProjectionName| versions_of(read_models, name).and_then(|all| serving(&all).cloned());
        return args.projection.iter().map(serving).collect();
    }
    let mut all = read_models.versions()?;
    all.retain(|version| version.role == Role::Serving);
    if all.len() > SEEN_TOGETHER {
        all.retain(|version| names(query, version.name.as_str()));
    }
    if all.is_empty() || all.len() > SEEN_TOGETHER {
        return Err(Failure::usage(
            "nothing was asked",
            "there is no projection, or there are too many to see together",
            "name those that the query is about with --projection; `factum projections ls` lists them",
        ));
    }
    Ok(all)
}

/// Those of them that the query names, or a table of: what it is not about need not be waited for, and may stand still. All,
/// where it names none.
fn asked<'a>(
    read_models: &dyn ReadModels,
    seen: &'a [Version],
    query: &str,
) -> Result<Vec<&'a Version>, Failure> {
    let mut asked = Vec::new();
    for version in seen {
        let tables = read_models.tables(&version.name, version.number)?;
        if names(query, version.name.as_str()) || tables.iter().any(|(table, _)| names(query, table)) {
            asked.push(version);
        }
    }
    Ok(if asked.is_empty() { seen.iter().collect() } else { asked })
}

/// Whether a name is a word of the query.
fn names(query: &str, name: &str) -> bool {
    let words = query.split(|c: char| !c.is_alphanumeric() && c != '_');
    words.into_iter().any(|word| word.eq_ignore_ascii_case(name))
}

/// Waits until all of these hold everything up to the token.
async fn wait(
    context: &Context,
    read_models: &Arc<dyn ReadModels>,
    versions: &[&Version],
    token: &Checkpoint,
    at_most: Duration,
) -> Result<(), Failure> {
    let began = SystemClock.now();
    let mut missing = Vec::new();
    for &version in versions {
        let progress = read_models.progress(&version.name, version.number)?;
        if !least(&progress).map_or(Ok(false), |applied| applied.reaches(token))? {
            missing.push(version);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let left = || at_most.saturating_sub(elapsed_since(began));
    let engine = match context.names_log().then_some(()) {
        Some(()) => context.open_unless_locked(Access::Existing)?,
        None => None,
    };
    let Some(engine) = engine else {
        // Another process has the log open: its commits wake us.
        for version in missing {
            let observer = Observer::start(Arc::clone(read_models), &version.name)?;
            not_ready(version.name.as_str(), &observer.wait(token, left()).await?)?;
        }
        return Ok(());
    };
    let applying = Applying::over(context.with_vault(engine).await?, Arc::clone(read_models)).await?;
    if next(&applying.end) < next(token) {
        return Err(Failure::new(
            (Exit::Precondition, "ahead-of-log"),
            "the token is ahead of the log",
            format!("the log ends at position {}, the token is for {}", next(&applying.end), next(token)),
            "was the log restored from a backup? Take a token of an append after that",
        ));
    }
    for version in missing {
        if known(version)?.is_none() {
            let applied = read_models.progress(&version.name, version.number)?;
            let applied = least(&applied).cloned().unwrap_or_else(|| token.clone());
            let why = "the program that it is compiled into does not run".to_owned();
            not_ready(version.name.as_str(), &Waited::Stopped { applied, why })?;
            continue;
        }
        let handle = applying.start(version).await?;
        not_ready(version.name.as_str(), &handle.wait(token, left()).await?)?;
    }
    Ok(())
}

fn print(context: &Context, rows: &Rows) -> Result<(), Failure> {
    let columns = distinct(&rows.columns);
    let titles: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut sink = context.out.many(&titles);
    for row in &rows.rows {
        let fields: Record =
            columns.iter().zip(row).map(|(column, value)| (column.clone(), value_of_row(value))).collect();
        sink.push(&fields)?;
    }
    sink.finish()
}

/// The columns' names, each of them once: `n`, `n:1`, `n:2`.
fn distinct(columns: &[String]) -> Vec<String> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let name = |column: &'_ String, count: usize| match count {
        0 => column.clone(),
        more => format!("{column}:{more}"),
    };
    let mut names = Vec::new();
    for column in columns {
        let count = seen.entry(column).and_modify(|count| *count += 1).or_insert(0);
        names.push(name(column, *count));
    }
    names
}

/// Reads `k=v`: a number, `true`, `false`, `null` or a text in double quotes as in JSON, anything else as text.
fn parameter(text: &str) -> Result<(String, Value<'static>), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("'{text}' is not K=V"))?;
    let name = name.trim_start_matches(':').to_owned();
    if name.is_empty() {
        return Err(format!("'{text}' has no name before the '='"));
    }
    let value = match serde_json::from_str(value) {
        Ok(serde_json::Value::Null) => Value::Null,
        Ok(serde_json::Value::Bool(value)) => Value::Bool(value),
        Ok(serde_json::Value::String(text)) => Value::from(text),
        Ok(serde_json::Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Value::Integer(whole),
            (None, Some(real)) => Value::Real(real),
            (None, None) => Value::from(value.to_owned()),
        },
        _ => Value::from(value.to_owned()),
    };
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_have_the_type_that_they_look_like() {
        let of = |text: &str| parameter(text).unwrap().1;
        assert_eq!(of("a=7"), Value::Integer(7));
        assert_eq!(of("a=0.5"), Value::Real(0.5));
        assert_eq!(of("a=\"7\""), Value::from("7"));
        assert_eq!(of("a=x=y"), Value::from("x=y"));
        assert_eq!(of("a="), Value::from(""));
        assert_eq!(of("a=null"), Value::Null);
        assert_eq!(of("a={}"), Value::from("{}"));
        assert_eq!(parameter(":a=true").unwrap(), ("a".to_owned(), Value::Bool(true)));
        assert!(parameter("a").is_err() && parameter("=1").is_err());
    }

    #[test]
    fn a_query_names_words_and_not_parts_of_them() {
        assert!(names("select * from Balances.rows", "balances"));
        assert!(names("select \"rows\".n from x", "rows"));
        assert!(!names("select * from balances_old", "balances"));
    }

    #[test]
    fn columns_of_one_name_are_told_apart() {
        let names = |columns: &[&str]| distinct(&columns.iter().map(|&c| c.to_owned()).collect::<Vec<_>>());
        assert_eq!(names(&["n", "m", "n", "n"]), ["n", "m", "n:1", "n:2"]);
    }
}
