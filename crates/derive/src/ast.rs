//! What is an event enum made of, or a struct with personal fields? Shapes only: values are judged in `valid`.

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Fields, Ident, Result, Type};

use crate::attr::{ContainerAttrs, FieldAttrs, StructAttrs, VariantAttrs};
use crate::rename;

/// The enum.
pub(crate) struct Events<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) attrs: ContainerAttrs,
    pub(crate) variants: Vec<Variant<'a>>,
}

/// A struct that is nested in events and states.
pub(crate) struct PersonalStruct<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) attrs: StructAttrs,
    pub(crate) fields: Vec<Field<'a>>,
}

impl<'a> PersonalStruct<'a> {
    pub(crate) fn from_syn(input: &'a DeriveInput) -> Result<Self> {
        let ident = &input.ident;
        let Data::Struct(syn::DataStruct { fields: Fields::Named(named), .. }) = &input.data else {
            return Err(Error::new(
                ident.span(),
                format!(
                    "`{ident}` has no named fields: PersonalFields is derived for a struct with named fields; in an enum, let a \
                     variant hold one"
                ),
            ));
        };
        if !input.generics.params.is_empty() {
            return Err(Error::new_spanned(
                &input.generics,
                "a struct with personal fields has no generic parameters: it is stored and read back later, so its type must \
                 be concrete",
            ));
        }
        let attrs = StructAttrs::from_syn(&input.attrs)?;
        let mut errors = Errors::default();
        let fields = named.named.iter().filter_map(|f| errors.keep(Field::from_syn(f))).collect();
        errors.finish()?;
        Ok(Self { ident, attrs, fields })
    }
}

/// One kind of event.
pub(crate) struct Variant<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) attrs: VariantAttrs,
    pub(crate) body: Body<'a>,
}

/// Where the data of an event is.
pub(crate) enum Body<'a> {
    /// In the variant's own fields; a unit variant has none.
    Fields { fields: Vec<Field<'a>>, unit: bool },
    /// In a struct that the variant holds.
    Newtype(&'a Type),
}

/// One field of a struct variant.
pub(crate) struct Field<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) ty: &'a Type,
    pub(crate) attrs: FieldAttrs,
}

impl<'a> Events<'a> {
    pub(crate) fn from_syn(input: &'a DeriveInput) -> Result<Self> {
        let Data::Enum(data) = &input.data else {
            return Err(Error::new(
                input.ident.span(),
                format!(
                    "`{}` is not an enum: Event is derived for an enum with one variant per kind of event",
                    input.ident
                ),
            ));
        };
        if !input.generics.params.is_empty() {
            return Err(Error::new_spanned(
                &input.generics,
                "events have no generic parameters: an event is stored and read back later, so its type must be concrete",
            ));
        }
        let attrs = ContainerAttrs::from_syn(&input.attrs)?;
        let mut errors = Errors::default();
        let variants = data.variants.iter().filter_map(|v| errors.keep(Variant::from_syn(v))).collect();
        errors.finish()?;
        Ok(Self { ident: &input.ident, attrs, variants })
    }
}

impl<'a> Variant<'a> {
    fn from_syn(variant: &'a syn::Variant) -> Result<Self> {
        let attrs = VariantAttrs::from_syn(&variant.attrs)?;
        let body = match &variant.fields {
            Fields::Unit => Body::Fields { fields: Vec::new(), unit: true },
            Fields::Named(named) => {
                let mut errors = Errors::default();
                let fields = named.named.iter().filter_map(|f| errors.keep(Field::from_syn(f))).collect();
                errors.finish()?;
                Body::Fields { fields, unit: false }
            }
            Fields::Unnamed(unnamed) if unnamed.unnamed.len() == 1 => {
                let field = &unnamed.unnamed[0];
                FieldAttrs::refuse_all(&field.attrs)?;
                Body::Newtype(&field.ty)
            }
            Fields::Unnamed(unnamed) => {
                return Err(Error::new_spanned(
                    unnamed,
                    "the data of an event is a JSON object, so its fields need names: \
                     write `{ name: Type, .. }`, or hold one struct",
                ));
            }
        };
        Ok(Self { ident: &variant.ident, attrs, body })
    }

    /// The stable type name, and where it is written.
    pub(crate) fn name(&self) -> (String, Span) {
        match &self.attrs.name {
            Some(name) => (name.value(), name.span()),
            None => {
                let text = self.ident.to_string();
                (text.trim_start_matches("r#").to_owned(), self.ident.span())
            }
        }
    }

    /// The current schema version, and where it is written.
    pub(crate) fn version(&self) -> (u32, Span) {
        self.attrs.version.unwrap_or_else(|| (1, self.ident.span()))
    }
}

impl<'a> Field<'a> {
    fn from_syn(field: &'a syn::Field) -> Result<Self> {
        let ident =
            field.ident.as_ref().ok_or_else(|| Error::new(field.span(), "this field needs a name"))?;
        Ok(Self { ident, ty: &field.ty, attrs: FieldAttrs::from_syn(&field.attrs)? })
    }

    /// The field's name in Rust.
    pub(crate) fn name(&self) -> String {
        self.ident.to_string().trim_start_matches("r#").to_owned()
    }

    /// The field's name in the data, with this `rename_all`.
    pub(crate) fn stored_name(&self, rename_all: Option<&str>) -> String {
        self.attrs.rename.clone().unwrap_or_else(|| rename::apply(rename_all, &self.name()))
    }
}

/// Errors found so far, so that one build shows all of them.
#[derive(Default)]
pub(crate) struct Errors(Option<Error>);

impl Errors {
    pub(crate) fn push(&mut self, error: Error) {
        match &mut self.0 {
            Some(first) => first.combine(error),
            none => *none = Some(error),
        }
    }

    pub(crate) fn keep<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    pub(crate) fn finish(self) -> Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}
