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
/// documented as always there. An `Option` is documented as nullable, an `IfAny` too, and is left out where there is
/// none; an `Always` is documented as never null. Identifiers, addresses, rates and words are documented as what they are
/// in JSON. The doc comments are the descriptions of the document.
///
/// On the struct: `#[wire(as = Name)]` names its schema. `#[wire(body)]` is for what clients send: an empty member is left
/// out, and a list is documented as nullable.
///
/// On a member: `#[wire(strict)]`, it must be there; `#[wire(lenient)]`, its default stands for null and missing.
#[proc_macro_attribute]
pub fn wire(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut shape = parse_macro_input!(item as ItemStruct);
    let arguments = Tokens::from(arguments);
    let is_body = arguments.to_string() == "body";
    if !is_body && !arguments.is_empty() {
        shape.attrs.push(parse_quote!(#[schema(#arguments)]));
    }
    schema_by_feature(&mut shape.attrs);
    shape.fields.iter_mut().for_each(|field| expand(field, is_body));
    quote! {
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[allow(missing_docs, reason = "a member that the document does not describe speaks for itself")]
        #shape
    }
    .into()
}

fn expand(field: &mut Field, is_body: bool) {
    let marks = take_marks(&mut field.attrs);
    let is = |mark: &str| marks.iter().any(|found| found == mark);
    let kind = outer(&field.ty).map(ToString::to_string).unwrap_or_default();
    let mut documented = in_json(&field.ty);
    let empty = match kind.as_str() {
        "IfAny" => Some("Option::is_none"),
        "Option" if is_body => Some("Option::is_none"),
        "Vec" if is_body && !is("strict") => {
            documented = parse_quote!(Option<#documented>);
            Some("Vec::is_empty")
        }
        _ => None,
    };
    if let Some(empty) = empty {
        field.attrs.push(parse_quote!(#[serde(skip_serializing_if = #empty)]));
    }
    if documented != field.ty
        && !mentions(&field.attrs, "value_type")
        && !mentions(&field.attrs, "schema_with")
    {
        field.attrs.push(parse_quote!(#[schema(value_type = #documented)]));
    }
    let has_empty_value = matches!(
        kind.as_str(),
        "String" | "Vec" | "BTreeMap" | "Value" | "bool" | "u8" | "u16" | "u32" | "u64" | "usize" | "f64"
    );
    if is("lenient") || (has_empty_value && !is("strict")) {
        field.attrs.push(parse_quote!(#[serde(default, deserialize_with = "crate::lenient::or_default")]));
        if !mentions(&field.attrs, "skip_serializing_if") && !mentions(&field.attrs, "required") {
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
        "EventId" | "MitigationId" | "SignalGroupId" | "SignalId" | "PanicId" | "AuditId" | "OperatorId"
        | "TokenId" | "SessionId" => {
            return parse_quote!(uuid::Uuid);
        }
        "BitsPerSecond" | "PacketsPerSecond" => return parse_quote!(i64),
        "Seconds" => return parse_quote!(u64),
        "RawJson" => return parse_quote!(serde_json::Value),
        "AccessRole" | "IpAddr" | "IpNetwork" | "Secret" | "ActionType" | "ActorType" | "BulkStatus"
        | "ChainProblem" | "DecisionOutcome" | "Diff" | "EndReason" | "EventAction" | "EventStatus"
        | "GroupStatus" | "Guardrail" | "MitigationStatus" | "PanicOrigin" | "PeerState" | "Series"
        | "Stage" | "StageResult" => return parse_quote!(String),
        _ => {}
    }
    let kind = last.ident.to_string();
    if let PathArguments::AngleBracketed(arguments) = &mut last.arguments {
        for argument in &mut arguments.args {
            let GenericArgument::Type(inner) = argument else { continue };
            *inner = in_json(inner);
            match kind.as_str() {
                "Always" => return inner.clone(),
                "IfAny" => return parse_quote!(Option<#inner>),
                _ => {}
            }
        }
    }
    shown
}

fn outer(of: &Type) -> Option<&Ident> {
    let Type::Path(path) = of else { return None };
    path.path.segments.last().map(|segment| &segment.ident)
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
