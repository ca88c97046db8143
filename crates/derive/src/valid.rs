//! Which declarations cannot work? Each refusal points at its place and says what to write instead.

mod personal;

use std::collections::HashMap;

use proc_macro2::Span;
use syn::{Error, LitStr};

use crate::ast::{Body, Errors, Events, PersonalStruct, Variant};

/// Longest type name, in bytes: as the store has it.
const MAX_NAME_BYTES: usize = 1_024;

pub(crate) fn check(events: &Events<'_>) -> syn::Result<()> {
    let mut errors = Errors::default();
    if events.variants.is_empty() {
        errors.push(Error::new(
            events.ident.span(),
            format!("`{}` has no variants: declare at least one kind of event", events.ident),
        ));
    }
    names(events, &mut errors);
    for variant in &events.variants {
        versions(variant, &mut errors);
        tags(variant, &mut errors);
        personal::variant(events, variant, &mut errors);
    }
    errors.finish()
}

pub(crate) fn check_struct(input: &PersonalStruct<'_>) -> syn::Result<()> {
    let mut errors = Errors::default();
    personal::nested(input, &mut errors);
    errors.finish()
}

/// Names and aliases are well-formed, and each means one kind.
fn names(events: &Events<'_>, errors: &mut Errors) {
    let mut taken: HashMap<String, &syn::Ident> = HashMap::new();
    for variant in &events.variants {
        let name = variant.name();
        let aliases = variant.attrs.aliases.iter().map(|alias| (alias.value(), alias.span()));
        for (text, span) in std::iter::once(name).chain(aliases) {
            if let Some(error) = bad_name(&text, span) {
                errors.push(error);
            } else if let Some(other) = taken.get(&text) {
                errors.push(Error::new(
                    span,
                    format!("the name \"{text}\" is taken by `{other}`: every kind of event needs a name of its own"),
                ));
            } else {
                taken.insert(text, variant.ident);
            }
        }
    }
}

fn bad_name(text: &str, span: Span) -> Option<Error> {
    let why = if text.is_empty() {
        "an event needs a name: this one is empty".to_owned()
    } else if text.starts_with('$') {
        format!("\"{text}\" is reserved: names that start with `$` are the store's own events")
    } else if text.len() > MAX_NAME_BYTES {
        format!("an event name has at most {MAX_NAME_BYTES} bytes, this one has {}", text.len())
    } else {
        return None;
    };
    Some(Error::new(span, why))
}

/// There is one upcaster from each version before the current one.
fn versions(variant: &Variant<'_>, errors: &mut Errors) {
    let (version, span) = variant.version();
    if version == 0 {
        errors.push(Error::new(span, "version 0 does not exist: versions start at 1"));
        return;
    }
    let mut seen = HashMap::new();
    for upcast in &variant.attrs.upcasts {
        let from = upcast.from;
        if from == 0 {
            errors.push(Error::new(upcast.span, "there is no version 0 to upcast from: versions start at 1"));
        } else if from >= version {
            errors.push(Error::new(
                upcast.span,
                format!(
                    "this upcasts from version {from}, but the event is at version {version}: \
                         set `version = {}`, or remove the upcaster",
                    from.saturating_add(1)
                ),
            ));
        } else if seen.insert(from, ()).is_some() {
            errors.push(Error::new(
                upcast.span,
                format!("there are two upcasters from version {from}: keep one"),
            ));
        }
    }
    let missing: Vec<String> =
        (1..version).filter(|v| !seen.contains_key(v)).take(4).map(|v| v.to_string()).collect();
    if !missing.is_empty() {
        errors.push(Error::new(
            span,
            format!(
                "version {version} needs an upcaster from every version before it, there is none from {}: \
                 add `upcast(from = {}, with = path::to::function)`",
                missing.join(", "),
                missing[0],
            ),
        ));
    }
}

fn tags(variant: &Variant<'_>, errors: &mut Errors) {
    let Body::Fields { fields, .. } = &variant.body else { return };
    for tag in fields.iter().flat_map(|field| &field.attrs.tags) {
        if tag.value().is_empty() {
            errors.push(empty_tag(tag));
        }
    }
}

fn empty_tag(tag: &LitStr) -> Error {
    Error::new(
        tag.span(),
        "a tag needs a prefix that says what it is about: `tag = \"account\"` gives `account:<value>`",
    )
}
