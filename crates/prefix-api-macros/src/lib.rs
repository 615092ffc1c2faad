//! `#[wire]`: a struct of `prefix-api-types` as it stands in JSON, with the rules that hold for every one of them.

use proc_macro::TokenStream;
use proc_macro2::{Ident, TokenStream as Tokens};
use quote::quote;
use syn::{
    Attribute, Field, GenericArgument, ItemStruct, Meta, PathArguments, Type, parse_macro_input, parse_quote,
};

/// Derives serde in both directions and, with the feature `openapi`, the schema; `#[schema(...)]` works as in utoipa.
///
/// A member with an empty value (text, number, list, map, `bool`) reads as that where it is null or missing, and is
/// documented as always there. An `Option` is documented as nullable. Identifiers, addresses, rates and words are
/// documented as what they are in JSON.
///
/// `#[wire(body)]` on the struct: what clients send. An empty member is left out, and a list is documented as nullable.
///
/// On a member:
/// - `#[wire(always)]`: an `Option` that every server of today sends, so that only an older or newer one leaves it out;
/// - `#[wire(strict)]`: must be there;
/// - `#[wire(lenient)]`: a struct whose default stands for null and missing.
#[proc_macro_attribute]
pub fn wire(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut shape = parse_macro_input!(item as ItemStruct);
    let is_body = !arguments.is_empty();
    schema_by_feature(&mut shape.attrs);
    shape.fields.iter_mut().for_each(|field| expand(field, is_body));
    quote! {
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #shape
    }
    .into()
}

fn expand(field: &mut Field, is_body: bool) {
    let marks = take_marks(&mut field.attrs);
    let is = |mark: &str| marks.iter().any(|found| found == mark);
    let kind = outer(&field.ty).map(ToString::to_string).unwrap_or_default();
    let is_empty_possible = matches!(
        kind.as_str(),
        "String" | "Vec" | "BTreeMap" | "Value" | "bool" | "u8" | "u16" | "u32" | "u64" | "usize" | "f64"
    );
    let mut skips = mentions(&field.attrs, "skip_serializing_if");
    let mut documented = in_json(&field.ty);
    if is_body {
        let condition = match kind.as_str() {
            "Option" => Some("Option::is_none"),
            "Vec" if !is("strict") => Some("Vec::is_empty"),
            _ => None,
        };
        if let Some(condition) = condition {
            field.attrs.push(parse_quote!(#[serde(skip_serializing_if = #condition)]));
            skips = true;
        }
        if condition == Some("Vec::is_empty") {
            documented = parse_quote!(Option<#documented>);
        }
    }
    if is("always")
        && let Some(inner) = inner(&documented)
    {
        documented = inner;
    }
    if documented != field.ty
        && !mentions(&field.attrs, "value_type")
        && !mentions(&field.attrs, "schema_with")
    {
        field.attrs.push(parse_quote!(#[schema(value_type = #documented)]));
    }
    if is("lenient") || (is_empty_possible && !is("strict") && !mentions(&field.attrs, "flatten")) {
        field.attrs.push(parse_quote!(#[serde(default, deserialize_with = "crate::lenient::or_default")]));
        if !skips {
            field.attrs.push(parse_quote!(#[schema(required = true)]));
        }
    }
    schema_by_feature(&mut field.attrs);
}

/// The type that a member has in the document: scalars of our own are text, numbers or UUIDs.
fn in_json(of: &Type) -> Type {
    let mut shown = of.clone();
    let Type::Path(path) = &mut shown else { return shown };
    let Some(last) = path.path.segments.last_mut() else { return shown };
    match last.ident.to_string().as_str() {
        "EventId" | "MitigationId" | "SignalGroupId" | "SignalId" | "PanicId" | "AuditId" => {
            return parse_quote!(uuid::Uuid);
        }
        "BitsPerSecond" | "PacketsPerSecond" => return parse_quote!(i64),
        "Seconds" => return parse_quote!(u64),
        "RawJson" => return parse_quote!(serde_json::Value),
        "IpAddr" | "IpNetwork" | "ActionType" | "ActorType" | "BulkStatus" | "ChainProblem"
        | "DecisionOutcome" | "Diff" | "EndReason" | "EventAction" | "EventStatus" | "GroupStatus"
        | "Guardrail" | "MitigationStatus" | "PanicOrigin" | "PeerState" | "Series" | "Stage"
        | "StageResult" => return parse_quote!(String),
        _ => {}
    }
    if let PathArguments::AngleBracketed(arguments) = &mut last.arguments {
        for argument in &mut arguments.args {
            if let GenericArgument::Type(inner) = argument {
                *inner = in_json(inner);
            }
        }
    }
    shown
}

fn outer(of: &Type) -> Option<&Ident> {
    let Type::Path(path) = of else { return None };
    path.path.segments.last().map(|segment| &segment.ident)
}

/// `T` of `Option<T>`.
fn inner(of: &Type) -> Option<Type> {
    let Type::Path(path) = of else { return None };
    let PathArguments::AngleBracketed(arguments) = &path.path.segments.last()?.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(inner) => Some(inner.clone()),
        _ => None,
    })
}

/// Takes the words of `#[wire(...)]` away.
fn take_marks(attributes: &mut Vec<Attribute>) -> Vec<String> {
    let mut words = Vec::new();
    attributes.retain(|attribute| {
        let is_mark = attribute.path().is_ident("wire");
        if let (true, Meta::List(list)) = (is_mark, &attribute.meta) {
            words.extend(list.tokens.clone().into_iter().map(|token| token.to_string()));
        }
        !is_mark
    });
    words
}

/// Whether some attribute has this word.
fn mentions(attributes: &[Attribute], word: &str) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) => list.tokens.clone().into_iter().any(|token| token.to_string() == word),
        _ => false,
    })
}

/// `#[schema(...)]` is for the derive that only the feature brings.
fn schema_by_feature(attributes: &mut [Attribute]) {
    for attribute in attributes {
        if let (true, Meta::List(list)) = (attribute.path().is_ident("schema"), &attribute.meta) {
            let tokens: &Tokens = &list.tokens;
            *attribute = parse_quote!(#[cfg_attr(feature = "openapi", schema(#tokens))]);
        }
    }
}
