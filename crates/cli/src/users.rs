//! `factum users`: who may sign in to a server over this store.
//!
//! Works on the directory itself, so it needs no password: whoever may write the files may do everything anyway. A server
//! that has the directory open is asked through its clients instead.

use std::io::{IsTerminal, Read};
use std::sync::Arc;

use clap::{Args, Subcommand};
use factum_core::ErrorKind;
use factum_server::{NewUser, Secret, Standing, Tokens, User, UserDirectory, UserError};

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Format, record};
use crate::store::Access;

const EXAMPLES: &str = "EXAMPLES:
  factum users add ada --group accounting
  factum users passwd admin
  factum users disable ada
  factum users ls";
const LS_EXAMPLES: &str = "EXAMPLES:
  factum users ls
  factum users ls -o json";
const ADD_EXAMPLES: &str = "EXAMPLES:
  A user with a generated password, which is shown once:
    factum users add ada --full-name 'Ada Lovelace' --group accounting
  An administrator, with a password from a file:
    factum users add root --group '$admins' --password-stdin < password.txt";
const PASSWD_EXAMPLES: &str = "EXAMPLES:
  factum users passwd admin
  factum users passwd ada --password-stdin < password.txt";
const STANDING_EXAMPLES: &str = "EXAMPLES:
  factum users disable ada
  factum users enable ada";
const RM_EXAMPLES: &str = "EXAMPLES:
  factum users rm ada
  factum users rm ada --yes";
const TOKEN_EXAMPLES: &str = "EXAMPLES:
  factum users token importer
  factum serve --data ./data --token-file tokens.txt";

/// List, create and change the users of a server
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct UsersArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    Ls(ListArgs),
    Add(AddArgs),
    Passwd(PasswordArgs),
    /// Let a user sign in no more; what the user has open ends
    Disable(StandingArgs),
    /// Let a disabled user sign in again
    Enable(StandingArgs),
    Rm(RemoveArgs),
    Token(TokenArgs),
}

/// List the users
#[derive(Args, Debug)]
#[command(after_help = LS_EXAMPLES)]
struct ListArgs {}

/// Create a user
#[derive(Args, Debug)]
#[command(after_help = ADD_EXAMPLES)]
struct AddArgs {
    /// The name to sign in with
    login: String,
    /// The name among people
    #[arg(long, value_name = "NAME", default_value = "")]
    full_name: String,
    /// A group; several times for several. $admins may do everything, $ops run the server
    #[arg(long, value_name = "GROUP")]
    group: Vec<String>,
    #[command(flatten)]
    password: PasswordSource,
}

/// Give a user another password
#[derive(Args, Debug)]
#[command(after_help = PASSWD_EXAMPLES)]
struct PasswordArgs {
    /// The user
    login: String,
    #[command(flatten)]
    password: PasswordSource,
}

#[derive(Args, Debug)]
struct PasswordSource {
    /// Read the password from stdin, up to the end of its line, instead of generating one
    #[arg(long)]
    password_stdin: bool,
}

/// Whether a user may sign in
#[derive(Args, Debug)]
#[command(after_help = STANDING_EXAMPLES)]
struct StandingArgs {
    /// The user
    login: String,
}

/// Delete a user
#[derive(Args, Debug)]
#[command(after_help = RM_EXAMPLES)]
struct RemoveArgs {
    /// The user
    login: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Make a token for a program, and the line for --token-file that lets it in
///
/// The token goes to stderr, where it is shown once; the line, which holds only its hash, to stdout.
#[derive(Args, Debug)]
#[command(after_help = TOKEN_EXAMPLES)]
struct TokenArgs {
    /// The user that it stands for
    login: String,
}

/// Runs the command.
pub(crate) async fn run(args: UsersArgs, context: &Context) -> Result<(), Failure> {
    match args.verb {
        Verb::Ls(_) => list(context).await,
        Verb::Add(args) => add(args, context).await,
        Verb::Passwd(args) => passwd(args, context).await,
        Verb::Disable(args) => stand(&args.login, Standing::Disabled, context).await,
        Verb::Enable(args) => stand(&args.login, Standing::Enabled, context).await,
        Verb::Rm(args) => remove(&args, context).await,
        Verb::Token(args) => token(&args.login, context),
    }
}

fn directory(context: &Context, access: Access) -> Result<UserDirectory, Failure> {
    Ok(UserDirectory::new(Arc::new(context.open(access)?)))
}

async fn list(context: &Context) -> Result<(), Failure> {
    let users = directory(context, Access::Existing)?.list().await.map_err(|error| failure(&error))?;
    let mut sink = context.out.many(&["login", "fullName", "groups", "disabled", "lastUpdated"]);
    for User { login, full_name, groups, standing, last_updated } in users {
        if context.out.format() == Format::Raw {
            context.out.line(&login)?;
            continue;
        }
        sink.push(&record([
            ("login", login.into()),
            ("fullName", full_name.into()),
            ("groups", groups.into()),
            ("disabled", (standing == Standing::Disabled).into()),
            ("lastUpdated", last_updated.to_string().into()),
        ]))?;
    }
    if context.out.format() == Format::Raw { context.out.flush() } else { sink.finish() }
}

async fn add(args: AddArgs, context: &Context) -> Result<(), Failure> {
    let password = args.password.take()?;
    let user = NewUser {
        login: args.login.clone(),
        full_name: args.full_name,
        groups: args.group,
        password: password.secret(),
    };
    directory(context, Access::Create)?.create(user).await.map_err(|error| failure(&error))?;
    password.show(&args.login);
    context.say(&format!("created the user '{}'", args.login));
    Ok(())
}

async fn passwd(args: PasswordArgs, context: &Context) -> Result<(), Failure> {
    let password = args.password.take()?;
    let directory = directory(context, Access::Existing)?;
    directory.reset_password(&args.login, &password.secret()).await.map_err(|error| failure(&error))?;
    password.show(&args.login);
    context.say(&format!("'{}' has another password", args.login));
    Ok(())
}

async fn stand(login: &str, standing: Standing, context: &Context) -> Result<(), Failure> {
    let directory = directory(context, Access::Existing)?;
    directory.set_standing(login, standing).await.map_err(|error| failure(&error))?;
    let may = if standing == Standing::Enabled { "may sign in" } else { "may not sign in any more" };
    context.say(&format!("'{login}' {may}"));
    Ok(())
}

async fn remove(args: &RemoveArgs, context: &Context) -> Result<(), Failure> {
    let directory = directory(context, Access::Existing)?;
    directory.details(&args.login).await.map_err(|error| failure(&error))?;
    context.confirm(&format!("this deletes the user '{}'", args.login), args.yes)?;
    directory.delete(&args.login).await.map_err(|error| failure(&error))?;
    context.say(&format!("deleted the user '{}'", args.login));
    Ok(())
}

fn token(login: &str, context: &Context) -> Result<(), Failure> {
    let token = generate()?;
    show("token", login, &token);
    context.out.line(&Tokens::line(login, &token))?;
    context.out.flush()
}

/// A password, and whether its owner knows it already.
enum Password {
    Given(Secret),
    Generated(Secret),
}

impl PasswordSource {
    fn take(&self) -> Result<Password, Failure> {
        if !self.password_stdin {
            return generate().map(Password::Generated);
        }
        if std::io::stdin().is_terminal() {
            return Err(Failure::usage(
                "nothing was done",
                "stdin is a terminal, which would show the password",
                "give it from a file or a pipe, or leave --password-stdin out and have one generated",
            ));
        }
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(|error| Failure::io("reading the password from stdin failed", &error))?;
        let secret = Secret::new(text.lines().next().unwrap_or_default());
        // Overwritten when it is dropped, like the other.
        drop(Secret::new(text));
        Ok(Password::Given(secret))
    }
}

impl Password {
    fn secret(&self) -> Secret {
        match self {
            Password::Given(secret) | Password::Generated(secret) => secret.clone(),
        }
    }

    fn show(&self, login: &str) {
        if let Password::Generated(secret) = self {
            show("password", login, secret);
        }
    }
}

fn generate() -> Result<Secret, Failure> {
    Secret::generate().map_err(|error| Failure::io("the system has no randomness", &error))
}

/// Shown even with `--quiet`: there is no second time.
fn show(what: &str, login: &str, secret: &Secret) {
    eprintln!("the {what} of '{login}', shown this once: {}", secret.expose());
}

fn failure(error: &UserError) -> Failure {
    let why = error.to_string();
    let kind = match error {
        UserError::NotFound { login } => {
            return Failure::not_found(
                format!("there is no user '{login}'"),
                "the store has none of this name",
                "`factum users ls` lists them",
            );
        }
        UserError::Exists { login } => {
            return Failure::new(
                (Exit::Precondition, "conflict"),
                format!("the user '{login}' was not created"),
                why,
                "",
            );
        }
        UserError::Invalid { .. } => ErrorKind::Invalid,
        UserError::Read(error) => error.kind(),
        UserError::Append(error) => error.kind(),
        UserError::Damaged { .. } => ErrorKind::Damaged,
        _ => ErrorKind::Unavailable,
    };
    Failure::of_store(kind, "nothing was done", why)
}
