//! What does `#[personal(..)]` say?

use proc_macro2::Span;
use syn::meta::ParseNestedMeta;
use syn::{Attribute, Error, Expr, LitStr, Meta, Path, Result};

use super::{set_once, unknown};

/// On a field.
pub(crate) struct PersonalAttrs {
    pub(crate) span: Span,
    pub(crate) whose: Whose,
    pub(crate) purpose: Option<LitStr>,
    pub(crate) fallback: Option<Expr>,
    pub(crate) partial: Option<Partial>,
    pub(crate) external: bool,
}

/// Whose the values of a field are.
pub(crate) enum Whose {
    /// The default's.
    Default,
    /// `subject = "field"`.
    Field(LitStr),
    /// `own_subject`: they bring theirs.
    Own,
}

/// What is stored in clear.
pub(crate) enum Partial {
    /// One of ours, by its name.
    Named(LitStr),
    /// A function of the user's.
    Function(Path),
}

/// On an enum, a variant or a struct.
#[derive(Default)]
pub(crate) struct DefaultSubject {
    pub(crate) subject: Option<LitStr>,
    /// `crate = path`, on a struct.
    pub(crate) krate: Option<Path>,
}

const ON_FIELD: &str = "known on a field: subject, own_subject, purpose, fallback, partial, external";
const ON_ALL: &str = "known here: subject; the rest stands on the fields";

impl PersonalAttrs {
    pub(crate) fn from_syn(attr: &Attribute) -> Result<Self> {
        let mut found = Self {
            span: attr.path().get_ident().map_or_else(Span::call_site, syn::Ident::span),
            whose: Whose::Default,
            purpose: None,
            fallback: None,
            partial: None,
            external: false,
        };
        if !matches!(attr.meta, Meta::Path(_)) {
            attr.parse_nested_meta(|meta| found.key(&meta))?;
        }
        Ok(found)
    }

    fn key(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        if meta.path.is_ident("subject") {
            let subject: LitStr = meta.value()?.parse()?;
            self.set_whose(meta, Whose::Field(subject))
        } else if meta.path.is_ident("own_subject") {
            self.set_whose(meta, Whose::Own)
        } else if meta.path.is_ident("purpose") {
            let purpose: LitStr = meta.value()?.parse()?;
            set_once(&mut self.purpose, meta, purpose)
        } else if meta.path.is_ident("fallback") {
            let fallback: Expr = meta.value()?.parse()?;
            set_once(&mut self.fallback, meta, fallback)
        } else if meta.path.is_ident("partial") {
            let value = meta.value()?;
            let partial = if value.peek(syn::LitStr) {
                Partial::Named(value.parse()?)
            } else {
                Partial::Function(value.parse().map_err(|error: Error| {
                    Error::new(
                        error.span(),
                        "`partial` is \"last4\", \"year\" or the path of a function of `&T`",
                    )
                })?)
            };
            set_once(&mut self.partial, meta, partial)
        } else if meta.path.is_ident("external") {
            self.external = true;
            Ok(())
        } else {
            Err(unknown(meta, ON_FIELD))
        }
    }

    fn set_whose(&mut self, meta: &ParseNestedMeta<'_>, whose: Whose) -> Result<()> {
        if !matches!(self.whose, Whose::Default) {
            return Err(meta.error("this is said twice: say once whose it is"));
        }
        self.whose = whose;
        Ok(())
    }
}

impl DefaultSubject {
    /// Adds what this attribute says. `crate` is for structs, which have no `#[event(crate = path)]`.
    pub(crate) fn add(&mut self, attr: &Attribute, with_crate: WithCrate) -> Result<()> {
        attr.parse_nested_meta(|meta| {
            if meta.path.is_ident("subject") {
                let subject: LitStr = meta.value()?.parse()?;
                set_once(&mut self.subject, &meta, subject)
            } else if meta.path.is_ident("crate") && with_crate == WithCrate::Yes {
                let path: Path = meta.value()?.parse()?;
                set_once(&mut self.krate, &meta, path)
            } else {
                Err(unknown(&meta, ON_ALL))
            }
        })
    }
}

/// Whether `crate = path` is known.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum WithCrate {
    Yes,
    No,
}
