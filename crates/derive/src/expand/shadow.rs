//! Which hidden structs stand for the fields of a variant or of a struct?
//!
//! One that borrows, to encode, and one that owns, to decode and to describe. Both carry the fields' serde attributes. A field
//! with a mark is written together with its mark, and read by a function that knows it.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Ident, LitStr, Path, PathArguments, Type};

use crate::ast::Field;
use crate::attr::personal::{Partial, PersonalAttrs, Whose};

pub(super) struct Shadow<'a> {
    pub(super) fields: &'a [Field<'a>],
    /// What serde calls it in its messages.
    pub(super) name: &'a str,
    pub(super) docs: &'a [Attribute],
    pub(super) rename_all: Option<&'a LitStr>,
    /// The default subject, if it is declared; it need not be a field here.
    pub(super) subject: Option<&'a LitStr>,
    /// Tells the variants of one enum apart.
    pub(super) index: usize,
    pub(super) krate: &'a Path,
}

/// Names for the fields' values in a pattern.
pub(super) fn bindings(fields: &[Field<'_>]) -> Vec<Ident> {
    (0..fields.len()).map(|i| format_ident!("field_{}", i)).collect()
}

impl Shadow<'_> {
    pub(super) fn owned(&self) -> Ident {
        format_ident!("__Owned{}", self.index)
    }

    pub(super) fn borrowed(&self) -> Ident {
        format_ident!("__Borrowed{}", self.index)
    }

    fn mark(&self, field: usize) -> Ident {
        format_ident!("__MARK_{}_{}", self.index, field)
    }

    fn reader(&self, field: usize) -> Ident {
        format_ident!("__read_{}_{}", self.index, field)
    }

    /// The fields with marks.
    fn marked(&self) -> impl Iterator<Item = (usize, &Field<'_>, &PersonalAttrs)> {
        let all = self.fields.iter().enumerate();
        all.filter_map(|(i, field)| Some((i, field, field.attrs.personal.as_ref()?)))
    }

    /// Both structs, and what the marks need.
    pub(super) fn items(&self) -> TokenStream {
        let (owned, borrowed, name, docs) = (self.owned(), self.borrowed(), self.name, self.docs);
        let serde = crate_path(self.krate, "serde");
        let schemars = crate_path(self.krate, "schemars");
        let rename_all = self.rename_all.map(|rule| quote!(#[serde(rename_all = #rule)]));
        let marks = self.marked().map(|(i, field, mark)| self.declared(i, field.ty, mark));
        let owned_fields = self.fields.iter().enumerate().map(|(i, field)| {
            let Field { ident, ty, attrs } = field;
            let (docs, serde, schemars) = (&attrs.docs, &attrs.serde, &attrs.schemars);
            let read = attrs.personal.as_ref().map(|_| {
                let reader = self.reader(i).to_string();
                // As serde does for an `Option` that it reads itself.
                let default = (is_option(ty) && !attrs.says("default")).then(|| quote!(#[serde(default)]));
                quote!(#[serde(deserialize_with = #reader)] #default)
            });
            quote!(#(#docs)* #(#serde)* #read #(#schemars)* #ident: #ty)
        });
        let borrowed_fields = self.fields.iter().map(|field| {
            let Field { ident, ty, attrs } = field;
            let serde = &attrs.serde;
            let ty = match attrs.personal {
                Some(_) => quote_spanned!(shown_at(ty)=> __factum::Marked<'event, #ty>),
                None => quote!(&'event #ty),
            };
            quote!(#(#serde)* #ident: #ty)
        });
        let lifetime = (!self.fields.is_empty()).then(|| quote!(<'event>));
        quote! {
            #(#marks)*

            #(#docs)*
            #[derive(__factum::serde::Deserialize, __factum::schemars::JsonSchema)]
            #[serde(crate = #serde, rename = #name, deny_unknown_fields)]
            #[schemars(crate = #schemars)]
            #rename_all
            struct #owned { #(#owned_fields),* }

            #[derive(__factum::serde::Serialize)]
            #[serde(crate = #serde, rename = #name)]
            #rename_all
            struct #borrowed #lifetime { #(#borrowed_fields),* }
        }
    }

    /// What a mark says of the values, and the function that reads them.
    fn declared(&self, index: usize, ty: &Type, mark: &PersonalAttrs) -> TokenStream {
        let (krate, constant, reader) = (self.krate, self.mark(index), self.reader(index));
        // Spanned, so that a type which cannot be marked is pointed at.
        let value = quote_spanned!(shown_at(ty)=> <#ty as #krate::PersonalField>::Value);
        let purpose = option(mark.purpose.as_ref());
        let keep = keep(mark);
        let fallback = match &mark.fallback {
            Some(declared) => {
                let given = quote_spanned!(declared.span()=> __factum::fallback::<#value, _>(#declared));
                quote!(::core::option::Option::Some(|| #given))
            }
            None => quote!(::core::option::Option::None),
        };
        let partial = match &mark.partial {
            Some(Partial::Named(name)) => {
                let function = Ident::new(&name.value(), name.span());
                let kept = quote_spanned!(name.span()=> __factum::#function(value));
                quote!(::core::option::Option::Some(|value| __factum::partial(#kept)))
            }
            Some(Partial::Function(path)) => {
                let kept = quote_spanned!(path.span()=> __factum::partial(#path(value)));
                quote!(::core::option::Option::Some(|value| #kept))
            }
            None => quote!(::core::option::Option::None),
        };
        // Each part of this names the type, and an error in it is best shown there.
        quote_spanned! {shown_at(ty)=>
            const #constant: __factum::Declared<#value> = __factum::Declared {
                purpose: #purpose,
                keep: #keep,
                fallback: #fallback,
                partial: #partial,
            };
            fn #reader<'de, __D: __factum::serde::Deserializer<'de>>(
                deserializer: __D,
            ) -> ::core::result::Result<#ty, __D::Error> {
                __factum::read_personal(deserializer, &#constant)
            }
        }
    }

    /// The values of the borrowing struct's fields, from the bindings.
    pub(super) fn values(&self) -> Vec<TokenStream> {
        let bound = bindings(self.fields);
        let value = |(i, field): (usize, &Field<'_>)| {
            let own = &bound[i];
            let Some(mark) = &field.attrs.personal else { return quote!(#own) };
            let constant = self.mark(i);
            let whose = match &mark.whose {
                Whose::Field(subject) => {
                    let named = self.subject_of(subject);
                    quote!(__factum::Whose::Named(#named))
                }
                Whose::Default => quote!(__factum::Whose::Default),
                Whose::Own => quote!(__factum::Whose::Own),
            };
            quote_spanned!(shown_at(field.ty)=> __factum::Marked::new(#own, &#constant, #whose))
        };
        self.fields.iter().enumerate().map(value).collect()
    }

    /// The default subject, where it is a field here.
    pub(super) fn default_subject(&self) -> Option<TokenStream> {
        self.subject_of(self.subject?)
    }

    fn position(&self, subject: &LitStr) -> Option<usize> {
        self.fields.iter().position(|field| field.name() == subject.value())
    }

    fn subject_of(&self, subject: &LitStr) -> Option<TokenStream> {
        let bound = format_ident!("field_{}", self.position(subject)?);
        Some(quote_spanned!(subject.span()=> __factum::subject(#bound)))
    }

    /// The marks as data.
    pub(super) fn marks(&self) -> Vec<TokenStream> {
        let krate = self.krate;
        let rename_all = self.rename_all.map(LitStr::value);
        let pointer = |field: &Field<'_>| {
            let name = field.stored_name(rename_all.as_deref());
            format!("/{}", name.replace('~', "~0").replace('/', "~1"))
        };
        let mark = |(_, field, mark): (usize, &Field<'_>, &PersonalAttrs)| {
            let subject = match &mark.whose {
                Whose::Field(subject) => Some(subject),
                Whose::Default => self.subject,
                Whose::Own => None,
            };
            let subject =
                subject.and_then(|subject| self.position(subject)).map(|i| pointer(&self.fields[i]));
            let subject = option(subject);
            let (field, purpose, keep) = (pointer(field), option(mark.purpose.as_ref()), keep(mark));
            let partial = option(mark.partial.as_ref().map(|partial| match partial {
                Partial::Named(name) => name.value(),
                Partial::Function(path) => path.to_token_stream().to_string().replace(' ', ""),
            }));
            quote! {
                #krate::PersonalMark {
                    field: #field,
                    subject: #subject,
                    purpose: #purpose,
                    keep: #keep,
                    partial: #partial,
                }
            }
        };
        self.marked().map(mark).collect()
    }
}

/// Where errors about a type are shown. It stays code of the derive's, which lints leave alone.
fn shown_at(ty: &Type) -> Span {
    Span::call_site().located_at(ty.span())
}

fn option(value: Option<impl ToTokens>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}

fn keep(mark: &PersonalAttrs) -> TokenStream {
    if mark.external { quote!(__factum::Keep::Outside) } else { quote!(__factum::Keep::InEvent) }
}

fn crate_path(krate: &Path, name: &str) -> String {
    let name = Ident::new(name, Span::call_site());
    quote!(#krate::__private::#name).to_string().replace(' ', "")
}

/// Whether the type is spelled as an `Option`.
fn is_option(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    path.path.segments.last().is_some_and(|last| {
        last.ident == "Option" && matches!(last.arguments, PathArguments::AngleBracketed(_))
    })
}
