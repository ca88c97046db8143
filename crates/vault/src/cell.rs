//! How is a personal value kept sealed in a row of a read model?

use factum_core::ErrorKind;
use zeroize::Zeroizing;

use crate::cache::Known;
use crate::envelope::{Body, Envelope, SEALED_MEMBER};
use crate::error::VaultError;
use crate::find::find;
use crate::marker::Unavailable;
use crate::seal::{Place, open, seal};
use crate::subject::{ErasureId, KeyOwner};
use crate::vault::KeyVault;

/// What stands for an event's id in the place of a cell: no event has it.
const NO_EVENT: [u8; 16] = [0; 16];
/// What stands for a stream: no stream's event has a nil id beside it.
const READ_MODEL: &str = "$read-model";

/// Where a sealed value of a read model belongs: it opens nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell<'a> {
    /// The projection and table, by any name that stays: not the version's, so that versions can be compared.
    pub table: &'a str,
    /// The row's key, as text.
    pub row: &'a str,
    /// The column.
    pub column: &'a str,
}

/// What there is in a sealed cell.
#[derive(Clone, PartialEq, Eq)]
pub enum OpenedCell {
    /// The value, as JSON text.
    Value(Zeroizing<String>),
    /// Its subject was erased.
    Erased(ErasureId),
}

impl std::fmt::Debug for OpenedCell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            OpenedCell::Value(_) => "Value(..)",
            OpenedCell::Erased(_) => "Erased(..)",
        })
    }
}

/// Why a cell cannot be opened now. Never an erasure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sealed value cannot be opened: {reason}")]
pub struct CellError {
    /// Why.
    pub reason: Unavailable,
}

impl CellError {
    /// What kind of answer this is.
    pub fn kind(&self) -> ErrorKind {
        match self.reason {
            Unavailable::VaultDown | Unavailable::NoVault => ErrorKind::Unavailable,
            _ => ErrorKind::Damaged,
        }
    }
}

impl KeyVault {
    /// Seals JSON text for one cell: what is to be stored there, as text.
    ///
    /// # Errors
    /// `SubjectErased`, or what the vault says.
    pub async fn seal_cell(
        &self,
        owner: &KeyOwner,
        cell: &Cell<'_>,
        json: &str,
    ) -> Result<String, VaultError> {
        let key = self.key_for(owner).await?;
        let pointer = pointer(cell);
        let sealed = seal(&key, &self.place(cell, &pointer), json.as_bytes())?;
        let mut text = Vec::new();
        Envelope { key: key.id(), body: Body::Here(sealed), partial: None }.write(&mut text);
        Ok(String::from_utf8(text).unwrap_or_else(|_| unreachable!("base64 and ASCII")))
    }

    /// Opens what [`seal_cell`](Self::seal_cell) gave, in the same cell.
    ///
    /// # Errors
    /// Why it cannot be opened now.
    pub async fn open_cell(&self, cell: &Cell<'_>, stored: &str) -> Result<OpenedCell, CellError> {
        let failed = |reason| CellError { reason };
        let found = find(stored.as_bytes(), SEALED_MEMBER).map_err(|_| failed(Unavailable::Malformed))?;
        let found = found.first().filter(|found| found.pointer.is_empty());
        let found = found.ok_or(failed(Unavailable::Malformed))?;
        let envelope = Envelope::parse(&stored.as_bytes()[found.value.clone()]);
        let envelope = envelope.map_err(|_| failed(Unavailable::Malformed))?;
        let mut keys = self.keys(&[envelope.key]).await.map_err(|_| failed(Unavailable::VaultDown))?;
        let key = match keys.pop() {
            Some(Ok(Known::Key(key))) => key,
            Some(Ok(Known::Erased { erasure, .. })) => return Ok(OpenedCell::Erased(erasure)),
            Some(Err(reason)) => return Err(failed(reason)),
            None => return Err(failed(Unavailable::VaultDown)),
        };
        let Body::Here(sealed) = &envelope.body else { return Err(failed(Unavailable::Malformed)) };
        let pointer = pointer(cell);
        let text = open(&key, &self.place(cell, &pointer), &sealed.salt, &sealed.bytes);
        let text = text.map_err(|error| failed(error.into()))?;
        let text = std::str::from_utf8(&text).map_err(|_| failed(Unavailable::Malformed))?;
        Ok(OpenedCell::Value(Zeroizing::new(text.trim_end_matches(' ').to_owned())))
    }

    fn place<'a>(&'a self, cell: &Cell<'a>, pointer: &'a str) -> Place<'a> {
        Place {
            tenant: self.tenant(),
            stream: READ_MODEL,
            event_id: &NO_EVENT,
            event_type: cell.table,
            pointer,
            partial: b"",
        }
    }
}

/// Row and column, each with its length, so that no two cells read the same.
fn pointer(cell: &Cell<'_>) -> String {
    format!("{}:{}/{}:{}", cell.row.len(), cell.row, cell.column.len(), cell.column)
}
