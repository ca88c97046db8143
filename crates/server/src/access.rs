//! Who is calling, and what may they do?

use tonic::Status;

/// Who is calling.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Nobody asked: the server runs without security, and everybody may do everything.
    #[default]
    System,
}

impl Caller {
    /// The name that others see.
    pub(crate) fn name(&self) -> &str {
        match self {
            Caller::System => "anonymous",
        }
    }
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action<'a> {
    /// Read the events of a stream; `$all` for the log.
    Read(&'a str),
    /// Append to a stream.
    Write(&'a str),
    /// Delete a stream.
    Delete(&'a str),
    /// Run the server: scavenges, restarts, its end.
    Operate,
    /// See figures about the server.
    Statistics,
    /// Make, change and delete groups of consumers, and replay what they put aside.
    ManageGroups,
    /// See which groups there are, and how they are.
    SeeGroups,
}

/// The rules.
#[derive(Debug, Default)]
pub(crate) struct Access {}

impl Access {
    /// What `/info` calls the way of signing in.
    pub(crate) fn scheme(&self) -> &'static str {
        "insecure"
    }

    /// Whether `caller` may do it.
    ///
    /// # Errors
    /// The status that says no.
    pub(crate) async fn check(&self, caller: &Caller, action: Action<'_>) -> Result<(), Status> {
        let _ = (caller, action);
        Ok(())
    }
}
