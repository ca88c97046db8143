//! Which code does a struct with personal fields become?

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Ident, Path, parse_quote};

use super::shadow::{Shadow, bindings};
use crate::ast::PersonalStruct;

pub(crate) fn personal_struct(input: &PersonalStruct<'_>) -> TokenStream {
    let krate: Path = input.attrs.personal.krate.clone().unwrap_or_else(|| parse_quote!(::factum));
    let ident = input.ident;
    let name = ident.to_string();
    let shadow = Shadow {
        fields: &input.fields,
        name: &name,
        docs: &input.attrs.docs,
        rename_all: input.attrs.rename_all.as_ref(),
        subject: input.attrs.personal.subject.as_ref(),
        index: 0,
        krate: &krate,
    };
    let (owned, borrowed, items) = (shadow.owned(), shadow.borrowed(), shadow.items());
    let (marks, values, bound) = (shadow.marks(), shadow.values(), bindings(&input.fields));
    let names: Vec<&Ident> = input.fields.iter().map(|field| field.ident).collect();
    let written = quote! {
        __factum::serde::Serialize::serialize(&#borrowed { #(#names: #values),* }, serializer)
    };
    let written = match shadow.default_subject() {
        Some(subject) => quote!(__factum::with_default_subject(#subject, || #written)),
        None => written,
    };
    quote! {
        #[doc(hidden)]
        const _: () = {
            use #krate::__private as __factum;
            #items

            #[automatically_derived]
            impl #krate::PersonalFields for #ident {
                const MARKS: &'static [#krate::PersonalMark] = &[#(#marks),*];
            }

            #[automatically_derived]
            impl __factum::serde::Serialize for #ident {
                fn serialize<__S: __factum::serde::Serializer>(
                    &self,
                    serializer: __S,
                ) -> ::core::result::Result<__S::Ok, __S::Error> {
                    let Self { #(#names: #bound),* } = self;
                    #written
                }
            }

            #[automatically_derived]
            impl<'de> __factum::serde::Deserialize<'de> for #ident {
                fn deserialize<__D: __factum::serde::Deserializer<'de>>(
                    deserializer: __D,
                ) -> ::core::result::Result<Self, __D::Error> {
                    let #owned { #(#names: #bound),* } = __factum::serde::Deserialize::deserialize(deserializer)?;
                    ::core::result::Result::Ok(Self { #(#names: #bound),* })
                }
            }

            #[automatically_derived]
            impl __factum::schemars::JsonSchema for #ident {
                fn schema_name() -> __factum::Cow<'static, str> {
                    __factum::Cow::Borrowed(#name)
                }
                fn schema_id() -> __factum::Cow<'static, str> {
                    __factum::Cow::Borrowed(::core::concat!(::core::module_path!(), "::", #name))
                }
                fn json_schema(
                    generator: &mut __factum::schemars::SchemaGenerator,
                ) -> __factum::schemars::Schema {
                    <#owned as __factum::schemars::JsonSchema>::json_schema(generator)
                }
            }
        };
    }
}
