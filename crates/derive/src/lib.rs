//! `#[derive(Event)]` and `#[derive(PersonalFields)]` for Factum, and their error messages. Use it through the `factum` crate, which documents it.
//!
//! A small compiler in four steps: `ast` reads the enum, `attr` its attributes, `valid` refuses what cannot work,
//! `expand` writes the code.
//!
//! **Invariant:** the code it writes names nothing but `::factum` (or `#[event(crate = path)]`), so that users need
//! neither serde nor schemars of their own for it.

mod ast;
mod attr;
mod expand;
mod rename;
mod valid;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes an enum the events of an aggregate. See the `Event` trait in the `factum` crate for all that it takes.
#[proc_macro_derive(Event, attributes(event, personal, serde, schemars))]
pub fn derive_event(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    derive(&input).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// Makes a struct one that has personal fields. See the `PersonalFields` trait in the `factum` crate for all that it takes.
#[proc_macro_derive(PersonalFields, attributes(personal, serde, schemars))]
pub fn derive_personal_fields(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    derive_struct(&input).unwrap_or_else(|error| error.to_compile_error()).into()
}

fn derive_struct(input: &DeriveInput) -> syn::Result<proc_macro2::TokenStream> {
    let input = ast::PersonalStruct::from_syn(input)?;
    valid::check_struct(&input)?;
    Ok(expand::personal_struct(&input))
}

fn derive(input: &DeriveInput) -> syn::Result<proc_macro2::TokenStream> {
    let events = ast::Events::from_syn(input)?;
    valid::check(&events)?;
    Ok(expand::events(&events))
}
