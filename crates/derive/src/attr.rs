//! What do the attributes say? `#[event(..)]`, and the `#[serde(..)]` and `#[schemars(..)]` that are passed on.

pub(crate) mod personal;

use proc_macro2::Span;
use syn::meta::ParseNestedMeta;
use syn::parse::ParseStream;
use syn::spanned::Spanned;
use syn::{Attribute, Error, Lit, LitInt, LitStr, Path, Result, Token, parenthesized};

use personal::{DefaultSubject, PersonalAttrs, WithCrate};

/// On the enum.
#[derive(Default)]
pub(crate) struct ContainerAttrs {
    /// `crate = path`: where the `factum` crate is.
    pub(crate) krate: Option<Path>,
    /// `#[serde(rename_all_fields = "..")]`.
    pub(crate) rename_all_fields: Option<LitStr>,
    pub(crate) personal: DefaultSubject,
}

/// On a variant.
#[derive(Default)]
pub(crate) struct VariantAttrs {
    pub(crate) name: Option<LitStr>,
    pub(crate) version: Option<(u32, Span)>,
    pub(crate) aliases: Vec<LitStr>,
    pub(crate) upcasts: Vec<Upcast>,
    /// `#[serde(rename_all = "..")]`.
    pub(crate) rename_all: Option<LitStr>,
    pub(crate) personal: DefaultSubject,
    pub(crate) docs: Vec<Attribute>,
}

/// On a struct with personal fields.
#[derive(Default)]
pub(crate) struct StructAttrs {
    pub(crate) personal: DefaultSubject,
    /// `#[serde(rename_all = "..")]`.
    pub(crate) rename_all: Option<LitStr>,
    pub(crate) docs: Vec<Attribute>,
}

/// `upcast(from = 1, ..)`.
pub(crate) struct Upcast {
    pub(crate) from: u32,
    pub(crate) span: Span,
    pub(crate) steps: Vec<Step>,
}

/// What an upcaster does, in the order written.
pub(crate) enum Step {
    Rename { from: LitStr, to: LitStr },
    Default { field: LitStr, json: String },
    Remove { field: LitStr },
    Personal { field: LitStr, subject: LitStr },
    Custom(Path),
}

/// On a field.
#[derive(Default)]
pub(crate) struct FieldAttrs {
    pub(crate) tags: Vec<LitStr>,
    pub(crate) personal: Option<PersonalAttrs>,
    /// What serde's attributes say, by key.
    pub(crate) serde_keys: Vec<(String, Span)>,
    /// `#[serde(rename = "..")]`.
    pub(crate) rename: Option<String>,
    pub(crate) docs: Vec<Attribute>,
    pub(crate) serde: Vec<Attribute>,
    pub(crate) schemars: Vec<Attribute>,
}

const ON_ENUM: &str = "known on the enum: crate";
const ON_VARIANT: &str = "known on a variant: name, version, alias, upcast";
const ON_FIELD: &str = "known on a field: tag";
const IN_UPCAST: &str = "known in upcast: from, rename, default, remove, personal, with";

fn unknown(meta: &ParseNestedMeta<'_>, known: &str) -> Error {
    let key = meta.path.get_ident().map_or_else(|| "this".to_owned(), ToString::to_string);
    meta.error(format!("unknown key `{key}` ({known})"))
}

fn set_once<T>(slot: &mut Option<T>, meta: &ParseNestedMeta<'_>, value: T) -> Result<()> {
    if slot.is_some() {
        return Err(meta.error("this is said twice: say it once"));
    }
    *slot = Some(value);
    Ok(())
}

impl ContainerAttrs {
    pub(crate) fn from_syn(attrs: &[Attribute]) -> Result<Self> {
        let mut found = Self::default();
        for attr in attrs {
            if attr.path().is_ident("event") {
                attr.parse_nested_meta(|meta| {
                    if meta.path.is_ident("crate") {
                        let path: Path = meta.value()?.parse()?;
                        return set_once(&mut found.krate, &meta, path);
                    }
                    Err(unknown(&meta, ON_ENUM))
                })?;
            } else if attr.path().is_ident("serde") {
                // The enum may be Serialize for reasons of its own: what does not concern its fields is not ours.
                attr.parse_nested_meta(|meta| {
                    if meta.path.is_ident("rename_all_fields") {
                        found.rename_all_fields = Some(meta.value()?.parse()?);
                        return Ok(());
                    }
                    skip_value(&meta)
                })?;
            } else if attr.path().is_ident("personal") {
                found.personal.add(attr, WithCrate::No)?;
            }
        }
        Ok(found)
    }
}

impl StructAttrs {
    pub(crate) fn from_syn(attrs: &[Attribute]) -> Result<Self> {
        let mut found = Self::default();
        for attr in attrs {
            if attr.path().is_ident("personal") {
                found.personal.add(attr, WithCrate::Yes)?;
            } else if attr.path().is_ident("serde") {
                attr.parse_nested_meta(|meta| {
                    if meta.path.is_ident("rename_all") {
                        found.rename_all = Some(meta.value()?.parse()?);
                        return Ok(());
                    }
                    // It refuses unknown fields anyway.
                    if meta.path.is_ident("deny_unknown_fields") {
                        return Ok(());
                    }
                    Err(meta.error(
                        "a struct with personal fields takes no such serde attribute (known: rename_all)",
                    ))
                })?;
            } else if attr.path().is_ident("doc") {
                found.docs.push(attr.clone());
            }
        }
        Ok(found)
    }
}

impl VariantAttrs {
    pub(crate) fn from_syn(attrs: &[Attribute]) -> Result<Self> {
        let mut found = Self::default();
        for attr in attrs {
            if attr.path().is_ident("event") {
                attr.parse_nested_meta(|meta| found.event(&meta))?;
            } else if attr.path().is_ident("serde") {
                attr.parse_nested_meta(|meta| found.serde(&meta))?;
            } else if attr.path().is_ident("personal") {
                found.personal.add(attr, WithCrate::No)?;
            } else if attr.path().is_ident("doc") {
                found.docs.push(attr.clone());
            }
        }
        Ok(found)
    }

    fn event(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        if meta.path.is_ident("name") {
            let name: LitStr = meta.value()?.parse()?;
            set_once(&mut self.name, meta, name)
        } else if meta.path.is_ident("version") {
            let version = number(meta.value()?)?;
            set_once(&mut self.version, meta, version)
        } else if meta.path.is_ident("alias") {
            self.aliases.push(meta.value()?.parse()?);
            Ok(())
        } else if meta.path.is_ident("upcast") {
            self.upcasts.push(Upcast::from_meta(meta)?);
            Ok(())
        } else {
            Err(unknown(meta, ON_VARIANT))
        }
    }

    fn serde(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        if meta.path.is_ident("rename_all") {
            self.rename_all = Some(meta.value()?.parse()?);
            return Ok(());
        }
        if meta.path.is_ident("rename") {
            return Err(meta.error("this does not rename the event: use #[event(name = \"..\")]"));
        }
        if meta.path.is_ident("alias") {
            return Err(meta.error("this does not let old events in: use #[event(alias = \"..\")]"));
        }
        Err(meta.error("an event variant takes no such serde attribute (known: rename_all)"))
    }
}

impl Upcast {
    fn from_meta(meta: &ParseNestedMeta<'_>) -> Result<Self> {
        let span = meta.path.span();
        let (mut from, mut steps) = (None, Vec::new());
        meta.parse_nested_meta(|meta| {
            if meta.path.is_ident("from") {
                let (version, _) = number(meta.value()?)?;
                return set_once(&mut from, &meta, version);
            }
            steps.push(Step::from_meta(&meta)?);
            Ok(())
        })?;
        let from = from.ok_or_else(|| {
            Error::new(span, "say which version this reads: `upcast(from = 1, with = path::to::function)`")
        })?;
        if steps.is_empty() {
            return Err(Error::new(
                span,
                "say what this does: `with = path::to::function`, `rename(\"old\", \"new\")`, \
                 `default(\"field\", value)` or `remove(\"field\")`",
            ));
        }
        Ok(Self { from, span, steps })
    }
}

impl Step {
    fn from_meta(meta: &ParseNestedMeta<'_>) -> Result<Self> {
        if meta.path.is_ident("with") {
            return Ok(Step::Custom(meta.value()?.parse()?));
        }
        let known = ["rename", "default", "remove", "personal"];
        if !known.iter().any(|key| meta.path.is_ident(key)) {
            return Err(unknown(meta, IN_UPCAST));
        }
        let content;
        parenthesized!(content in meta.input);
        let first: LitStr = content.parse()?;
        if meta.path.is_ident("remove") {
            end(&content)?;
            return Ok(Step::Remove { field: first });
        }
        let two = || {
            meta.error(
                "this takes two: `rename(\"old\", \"new\")`, `default(\"field\", value)`, `personal(\"field\", \"subject field\")`",
            )
        };
        content.parse::<Token![,]>().map_err(|_| two())?;
        let step = if meta.path.is_ident("rename") {
            Step::Rename { from: first, to: content.parse()? }
        } else if meta.path.is_ident("personal") {
            Step::Personal { field: first, subject: content.parse()? }
        } else {
            Step::Default { field: first, json: json_literal(&content)? }
        };
        end(&content)?;
        Ok(step)
    }
}

impl FieldAttrs {
    pub(crate) fn from_syn(attrs: &[Attribute]) -> Result<Self> {
        let mut found = Self::default();
        for attr in attrs {
            if attr.path().is_ident("event") {
                attr.parse_nested_meta(|meta| {
                    if meta.path.is_ident("tag") && !meta.input.peek(Token![=]) {
                        return Err(
                            meta.error("a tag needs a prefix: `tag = \"account\"` gives `account:<value>`")
                        );
                    }
                    if meta.path.is_ident("tag") {
                        found.tags.push(meta.value()?.parse()?);
                        return Ok(());
                    }
                    Err(unknown(&meta, ON_FIELD))
                })?;
            } else if attr.path().is_ident("serde") {
                attr.parse_nested_meta(|meta| {
                    if meta.path.is_ident("flatten") {
                        return Err(meta.error(
                            "`flatten` would let unknown fields in: write the fields out, or nest the struct",
                        ));
                    }
                    found.serde_key(&meta)
                })?;
                found.serde.push(attr.clone());
            } else if attr.path().is_ident("personal") {
                if found.personal.is_some() {
                    return Err(Error::new_spanned(attr, "this is said twice: say it once"));
                }
                found.personal = Some(PersonalAttrs::from_syn(attr)?);
            } else if attr.path().is_ident("schemars") {
                found.schemars.push(attr.clone());
            } else if attr.path().is_ident("doc") {
                found.docs.push(attr.clone());
            }
        }
        Ok(found)
    }

    /// Notes what serde will do with the field.
    fn serde_key(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        if let Some(key) = meta.path.get_ident() {
            self.serde_keys.push((key.to_string(), key.span()));
        }
        if meta.path.is_ident("rename") && meta.input.peek(Token![=]) {
            let name: LitStr = meta.value()?.parse()?;
            self.rename = Some(name.value());
            return Ok(());
        }
        skip_value(meta)
    }

    /// Whether serde's attributes say this.
    pub(crate) fn says(&self, key: &str) -> bool {
        self.serde_keys.iter().any(|(said, _)| said == key)
    }

    /// The field of a newtype variant takes no attributes of ours: its struct says it all.
    pub(crate) fn refuse_all(attrs: &[Attribute]) -> Result<()> {
        match attrs
            .iter()
            .find(|a| ["event", "serde", "schemars", "personal"].iter().any(|name| a.path().is_ident(name)))
        {
            Some(attr) => Err(Error::new_spanned(
                attr,
                "the struct that a variant holds takes no attributes here: for tags, write the fields in the variant; for personal \
                 data, derive PersonalFields for the struct",
            )),
            None => Ok(()),
        }
    }
}

/// A whole number and where it is written.
fn number(input: ParseStream<'_>) -> Result<(u32, Span)> {
    let literal: LitInt = input.parse()?;
    let number = literal
        .base10_parse()
        .map_err(|_| Error::new(literal.span(), "a version is a whole number from 1 to 4294967295"))?;
    Ok((number, literal.span()))
}

/// The JSON text of a literal: text, number, `true`, `false` or `null`.
fn json_literal(input: ParseStream<'_>) -> Result<String> {
    let expected =
        "a default is a literal: \"text\", a number, true, false or null; for more use `with = function`";
    if input.peek(syn::Ident) {
        let word: syn::Ident = input.parse()?;
        return if word == "null" { Ok(word.to_string()) } else { Err(Error::new(word.span(), expected)) };
    }
    let minus = input.parse::<Option<Token![-]>>()?.map_or("", |_| "-");
    let literal: Lit = input.parse().map_err(|e| Error::new(e.span(), expected))?;
    match &literal {
        Lit::Str(text) if minus.is_empty() => Ok(json_string(&text.value())),
        Lit::Bool(value) if minus.is_empty() => Ok(value.value.to_string()),
        Lit::Int(number) => Ok(format!("{minus}{}", number.base10_digits())),
        Lit::Float(number) => Ok(format!("{minus}{}", number.base10_digits())),
        _ => Err(Error::new(literal.span(), expected)),
    }
}

fn json_string(text: &str) -> String {
    let mut json = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            c if (c as u32) < 0x20 => json.push_str(&format!("\\u{:04x}", c as u32)),
            c => json.push(c),
        }
    }
    json.push('"');
    json
}

fn end(content: ParseStream<'_>) -> Result<()> {
    content.parse::<Option<Token![,]>>()?;
    if content.is_empty() { Ok(()) } else { Err(content.error("nothing more is expected here")) }
}

/// Reads past `= value` or `(..)` of a key that is not ours.
fn skip_value(meta: &ParseNestedMeta<'_>) -> Result<()> {
    if meta.input.peek(Token![=]) {
        meta.value()?.parse::<syn::Expr>()?;
    } else if meta.input.peek(syn::token::Paren) {
        let content;
        parenthesized!(content in meta.input);
        content.parse::<proc_macro2::TokenStream>()?;
    }
    Ok(())
}
