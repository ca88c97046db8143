//! Which code does an event enum become?
//!
//! Per struct variant two hidden structs, in `shadow`; serde's and schemars' own derives do the rest.

mod nested;
mod shadow;

pub(crate) use nested::personal_struct;

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Ident, LitStr, Path, PathArguments, Type, parse_quote};

use shadow::{Shadow, bindings};

use crate::ast::{Body, Events, Field, Variant};
use crate::attr::{Step, Upcast};

pub(crate) fn events(events: &Events<'_>) -> TokenStream {
    let krate: Path = events.attrs.krate.clone().unwrap_or_else(|| parse_quote!(::factum));
    let variants: Vec<Expansion> = events
        .variants
        .iter()
        .enumerate()
        .map(|(index, v)| Expansion::of(events, v, index, &krate))
        .collect();
    let structs = variants.iter().map(|v| &v.structs);
    let kinds = variants.iter().map(|v| &v.kind);
    let types = variants.iter().map(|v| &v.event_type);
    let versions = variants.iter().map(|v| &v.version);
    let tags = variants.iter().map(|v| &v.tags);
    let encode = variants.iter().map(|v| &v.encode);
    let decode = variants.iter().map(|v| &v.decode);
    let by_name = variants.iter().map(|v| &v.by_name);
    let ident = events.ident;
    let name = ident.to_string();
    quote! {
        #[doc(hidden)]
        const _: () = {
            use #krate::__private as __factum;
            #(#structs)*

            #[automatically_derived]
            impl #krate::Event for #ident {
                fn name() -> &'static str {
                    #name
                }
                fn kinds() -> &'static [#krate::EventKind] {
                    const KINDS: &[#krate::EventKind] = &[#(#kinds),*];
                    KINDS
                }
                fn event_type(&self) -> &'static str {
                    match self { #(#types)* }
                }
                fn schema_version(&self) -> u32 {
                    match self { #(#versions)* }
                }
                fn tags(&self) -> ::core::result::Result<__factum::Vec<__factum::Tag>, __factum::NameError> {
                    #[allow(unused_mut)]
                    let mut tags = __factum::Vec::new();
                    match self { #(#tags)* }
                    ::core::result::Result::Ok(tags)
                }
                fn encode(&self) -> ::core::result::Result<__factum::Vec<u8>, __factum::JsonError> {
                    match self { #(#encode)* }
                }
                fn decode(event_type: &str, data: &[u8]) -> ::core::result::Result<Self, __factum::JsonError> {
                    match event_type {
                        #(#by_name)*
                        other => ::core::result::Result::Err(__factum::unknown_type(other)),
                    }
                }
                fn decode_kind(kind: usize, data: &[u8]) -> ::core::result::Result<Self, __factum::JsonError> {
                    match kind {
                        #(#decode)*
                        other => ::core::result::Result::Err(__factum::unknown_kind(other)),
                    }
                }
            }
        };
    }
}

/// What one variant adds to each function.
struct Expansion {
    structs: TokenStream,
    kind: TokenStream,
    event_type: TokenStream,
    version: TokenStream,
    tags: TokenStream,
    encode: TokenStream,
    decode: TokenStream,
    by_name: TokenStream,
}

impl Expansion {
    fn of(events: &Events<'_>, variant: &Variant<'_>, index: usize, krate: &Path) -> Self {
        let ident = variant.ident;
        let (name, _) = variant.name();
        let (version, _) = variant.version();
        let any = match &variant.body {
            Body::Fields { unit: true, .. } => quote!(Self::#ident),
            Body::Fields { .. } => quote!(Self::#ident { .. }),
            Body::Newtype(_) => quote!(Self::#ident(..)),
        };
        let (structs, encode, decode, tags, data_type, personal) = match &variant.body {
            Body::Newtype(ty) => (
                TokenStream::new(),
                quote!(Self::#ident(data) => __factum::to_json(data),),
                quote!(#index => __factum::from_json(data).map(Self::#ident),),
                quote!(Self::#ident(..) => {}),
                quote!(#ty),
                quote!({
                    use __factum::NoMarks as _;
                    __factum::Marks::<#ty>::MARKS
                }),
            ),
            Body::Fields { fields, unit } => {
                let rename_all = variant.attrs.rename_all.as_ref();
                let subject = variant.attrs.personal.subject.as_ref();
                let shadow = Shadow {
                    fields,
                    name: &name,
                    docs: &variant.attrs.docs,
                    rename_all: rename_all.or(events.attrs.rename_all_fields.as_ref()),
                    subject: subject.or(events.attrs.personal.subject.as_ref()),
                    index,
                    krate,
                };
                let (owned, marks) = (shadow.owned(), shadow.marks());
                (
                    shadow.items(),
                    encode_fields(ident, &shadow, *unit),
                    decode_fields(ident, fields, *unit, &owned, index),
                    tag_fields(ident, fields, *unit),
                    quote!(#owned),
                    quote!(&[#(#marks),*]),
                )
            }
        };
        let aliases = &variant.attrs.aliases;
        let mut upcasts: Vec<&Upcast> = variant.attrs.upcasts.iter().collect();
        upcasts.sort_by_key(|upcast| upcast.from);
        let upcasters = upcasts.into_iter().map(|upcast| upcaster(upcast, krate));
        Self {
            kind: quote! {
                #krate::EventKind {
                    event_type: #name,
                    version: #version,
                    aliases: &[#(#aliases),*],
                    upcasters: &[#(#upcasters),*],
                    personal: #personal,
                    schema: |generator| __factum::schema_of::<#data_type>(generator, #name),
                }
            },
            event_type: quote!(#any => #name,),
            version: quote!(#any => #version,),
            by_name: quote!(#name => <Self as #krate::Event>::decode_kind(#index, data),),
            structs,
            tags,
            encode,
            decode,
        }
    }
}

fn encode_fields(variant: &Ident, shadow: &Shadow<'_>, unit: bool) -> TokenStream {
    let borrowed = shadow.borrowed();
    if unit {
        return quote!(Self::#variant => __factum::to_json(&#borrowed {}),);
    }
    let names: Vec<&Ident> = shadow.fields.iter().map(|field| field.ident).collect();
    let bound = bindings(shadow.fields);
    let values = shadow.values();
    let encoded = match shadow.default_subject() {
        Some(subject) => quote!(__factum::to_json_of(#subject, &#borrowed { #(#names: #values),* })),
        None => quote!(__factum::to_json(&#borrowed { #(#names: #values),* })),
    };
    quote!(Self::#variant { #(#names: #bound),* } => #encoded,)
}

fn decode_fields(
    variant: &Ident,
    fields: &[Field<'_>],
    unit: bool,
    owned: &Ident,
    index: usize,
) -> TokenStream {
    if unit {
        return quote!(#index => __factum::from_json(data).map(|#owned {}| Self::#variant),);
    }
    let names: Vec<&Ident> = fields.iter().map(|field| field.ident).collect();
    let bound = bindings(fields);
    quote! {
        #index => __factum::from_json(data)
            .map(|#owned { #(#names: #bound),* }| Self::#variant { #(#names: #bound),* }),
    }
}

fn tag_fields(variant: &Ident, fields: &[Field<'_>], unit: bool) -> TokenStream {
    if unit {
        return quote!(Self::#variant => {});
    }
    let tagged: Vec<&Field<'_>> = fields.iter().filter(|field| !field.attrs.tags.is_empty()).collect();
    let names = tagged.iter().map(|field| field.ident);
    let bound: Vec<Ident> = (0..tagged.len()).map(|i| format_ident!("field_{}", i)).collect();
    let pushes = tagged.iter().zip(&bound).flat_map(|(field, bound)| {
        field.attrs.tags.iter().map(move |prefix| push_tag(field.ty, prefix, bound))
    });
    let names: Vec<&Ident> = names.collect();
    quote!(Self::#variant { #(#names: #bound,)* .. } => { #(#pushes)* })
}

fn push_tag(ty: &Type, prefix: &LitStr, bound: &Ident) -> TokenStream {
    if is_many(ty) {
        quote! {
            for value in #bound.iter() {
                __factum::push_tag(&mut tags, #prefix, value)?;
            }
        }
    } else {
        quote!(__factum::push_tag(&mut tags, #prefix, #bound)?;)
    }
}

/// Whether the type is spelled as one of the containers that give one tag per value.
fn is_many(ty: &Type) -> bool {
    match ty {
        Type::Array(_) | Type::Slice(_) => true,
        Type::Path(path) => path.path.segments.last().is_some_and(|last| {
            matches!(last.arguments, PathArguments::AngleBracketed(_))
                && ["Option", "Vec", "VecDeque", "BTreeSet", "HashSet"].iter().any(|name| last.ident == name)
        }),
        _ => false,
    }
}

fn upcaster(upcast: &Upcast, krate: &Path) -> TokenStream {
    let from = upcast.from;
    let steps = upcast.steps.iter().map(|step| match step {
        Step::Rename { from, to } => quote!(#krate::UpcastStep::Rename { from: #from, to: #to }),
        Step::Default { field, json } => quote!(#krate::UpcastStep::Default { field: #field, json: #json }),
        Step::Remove { field } => quote!(#krate::UpcastStep::Remove { field: #field }),
        Step::Personal { field, subject } => {
            quote!(#krate::UpcastStep::Personal { field: #field, subject: #subject })
        }
        Step::Custom(path) => quote!(#krate::UpcastStep::Custom(#path)),
    });
    quote!(#krate::Upcaster { from: #from, steps: &[#(#steps),*] })
}
