//! Which marks of personal data cannot work, and which fields lack one?

use syn::{Error, GenericArgument, LitStr, PathArguments, Type};

use crate::ast::{Body, Errors, Events, Field, PersonalStruct, Variant};
use crate::attr::personal::{Partial, PersonalAttrs, Whose};

/// Longest purpose, in bytes: as the vault has it.
const MAX_PURPOSE_BYTES: usize = 32;

/// What is kept in clear under a name of ours.
const PARTIALS: [&str; 2] = ["last4", "year"];

/// Keys of serde that would keep a field from being sealed, or from being read.
const REFUSED_SERDE: [&str; 7] = [
    "with",
    "serialize_with",
    "deserialize_with",
    "skip",
    "skip_serializing",
    "skip_deserializing",
    "getter",
];

pub(super) fn variant(events: &Events<'_>, variant: &Variant<'_>, errors: &mut Errors) {
    let own = variant.attrs.personal.subject.as_ref();
    let fields = match &variant.body {
        Body::Fields { fields, .. } => fields,
        Body::Newtype(ty) => {
            if let Some(subject) = own {
                errors.push(Error::new(
                    subject.span(),
                    "the struct that this variant holds says itself whose its data is: derive PersonalFields for it",
                ));
            }
            if names_personal(ty) {
                errors.push(Error::new_spanned(
                    ty,
                    "the data of an event is a JSON object: write `{ name: Personal<..> }` with a mark that says whose it is",
                ));
            }
            return;
        }
    };
    if let Some(subject) = own {
        subject_field(subject, fields, errors);
    }
    let default = own.or(events.attrs.personal.subject.as_ref());
    let inherited = own.is_none() && default.is_some();
    for field in fields {
        check_field(field, fields, errors);
        let Some(mark) = &field.attrs.personal else { continue };
        match (&mark.whose, default) {
            (Whose::Default, None) => errors.push(Error::new(
                mark.span,
                "say whose this is: `#[personal(subject = \"field\")]` with the field beside it that names the person, here or \
                 on the variant or the enum; or `own_subject`, if each value is made with `Personal::of`",
            )),
            (Whose::Default, Some(subject)) if inherited && find(subject, fields).is_none() => {
                errors.push(Error::new(
                    mark.span,
                    format!(
                        "the enum's default subject `{}` is no field of this variant: say whose this is with `subject = \"field\"`",
                        subject.value()
                    ),
                ));
            }
            _ => {}
        }
    }
    if inherited && let Some(subject) = default.filter(|subject| find(subject, fields).is_some()) {
        subject_field(subject, fields, errors);
    }
}

pub(super) fn nested(input: &PersonalStruct<'_>, errors: &mut Errors) {
    if let Some(subject) = &input.attrs.personal.subject {
        subject_field(subject, &input.fields, errors);
    }
    for field in &input.fields {
        check_field(field, &input.fields, errors);
    }
}

fn check_field(field: &Field<'_>, fields: &[Field<'_>], errors: &mut Errors) {
    let Some(mark) = &field.attrs.personal else {
        if names_personal(field.ty) {
            errors.push(Error::new_spanned(
                field.ty,
                format!(
                    "`{}` is personal: mark it with `#[personal(subject = \"field\")]`, naming the field that says whose it is",
                    field.name()
                ),
            ));
        }
        return;
    };
    if let Some(tag) = field.attrs.tags.first() {
        errors.push(Error::new(
            tag.span(),
            "personal data may not be a tag: tags are stored in clear for ever; tag the event with an id that says nothing",
        ));
    }
    for (key, span) in &field.attrs.serde_keys {
        if REFUSED_SERDE.contains(&key.as_str()) {
            errors.push(Error::new(
                *span,
                format!("a personal field is written and read in its own way: `{key}` would get around it"),
            ));
        }
    }
    if let Whose::Field(subject) = &mark.whose {
        subject_field(subject, fields, errors);
    }
    options(mark, errors);
}

fn options(mark: &PersonalAttrs, errors: &mut Errors) {
    if let Some(purpose) = &mark.purpose {
        let text = purpose.value();
        let plain = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-' | '_');
        if text.is_empty() || text.len() > MAX_PURPOSE_BYTES || !text.chars().all(plain) {
            errors.push(Error::new(
                purpose.span(),
                format!("a purpose has 1 to {MAX_PURPOSE_BYTES} of a-z, 0-9, '-' and '_': it is part of a key's name"),
            ));
        }
    }
    if let Some(Partial::Named(name)) = &mark.partial
        && !PARTIALS.contains(&name.value().as_str())
    {
        errors.push(Error::new(
            name.span(),
            "this is not known (known: \"last4\", \"year\"): for anything else write the path of a function of `&T`, without \
             quotes",
        ));
    }
}

fn find<'a>(subject: &LitStr, fields: &'a [Field<'a>]) -> Option<&'a Field<'a>> {
    fields.iter().find(|field| field.name() == subject.value())
}

/// The field that names a subject is there, and is not itself personal.
fn subject_field(subject: &LitStr, fields: &[Field<'_>], errors: &mut Errors) {
    let name = subject.value();
    match find(subject, fields) {
        Some(field) if field.attrs.personal.is_some() || names_personal(field.ty) => errors.push(Error::new(
            subject.span(),
            format!("`{name}` is personal itself: a subject is named by an id that says nothing, since it is stored in clear"),
        )),
        Some(_) => {}
        None => {
            let known: Vec<String> = fields
                .iter()
                .filter(|field| field.attrs.personal.is_none() && !names_personal(field.ty))
                .map(|field| format!("`{}`", field.name()))
                .collect();
            let known = if known.is_empty() {
                "there is none that could be".to_owned()
            } else {
                format!("there are {}", known.join(", "))
            };
            errors.push(Error::new(
                subject.span(),
                format!("a subject is named by a field beside it, and `{name}` is none ({known})"),
            ));
        }
    }
}

/// Whether a type is spelled with `Personal<..>` somewhere in it.
fn names_personal(ty: &Type) -> bool {
    match ty {
        Type::Path(path) => path.path.segments.iter().any(|segment| match &segment.arguments {
            PathArguments::AngleBracketed(arguments) => {
                segment.ident == "Personal"
                    || arguments.args.iter().any(|argument| match argument {
                        GenericArgument::Type(ty) => names_personal(ty),
                        _ => false,
                    })
            }
            _ => false,
        }),
        Type::Tuple(tuple) => tuple.elems.iter().any(names_personal),
        Type::Array(array) => names_personal(&array.elem),
        Type::Group(group) => names_personal(&group.elem),
        Type::Paren(paren) => names_personal(&paren.elem),
        _ => false,
    }
}
