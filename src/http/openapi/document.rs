//! The document: every row of the table at each of its paths, with what its operation says.

use std::collections::BTreeMap;

use axum::http::Method;
use serde_json::Value;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{Object, ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ComponentsBuilder, Content, HeaderBuilder, InfoBuilder, License, OpenApi, OpenApiBuilder, PathsBuilder, Ref, RefOr,
    Required, Response, ResponseBuilder, Server,
};

use super::field::{Field, Kind};
use super::operation::{self, Group, JSON, Operation, REFUSED};
use crate::domain::limits;
use crate::http::caller::COOKIE;
use crate::http::error;
use crate::http::routes::{Admission, Route};

/// The group of what the operator alone may ask.
pub(super) const OPERATOR: &str = "Operator";

/// What that is.
pub(super) const OPERATOR_ABOUT: &str =
    "What the operator alone may ask, over the socket `culvert.sock` in the data folder.";

/// The version of the API that this one is: PUQVPNCP's, as its documentation counts.
const VERSION: &str = "1.8";

/// What holds for every endpoint.
pub(super) const ABOUT: &str = "The HTTP API of a Culvert appliance: PUQVPNCP's v1, the contract, and what stands beside it.\n\n\
    Every answer below `/api/v1` is an envelope: `{\"error\": \"\", \"msg\": <value>, \"status\": \"success\"}`, or \
    `{\"error\": \"<why>\", \"msg\": \"\", \"status\": \"error\"}`. A request that is understood and refused is \
    answered with code 200: read `status`, not the code.\n\n\
    A form is sent urlencoded or as a JSON object of plain values; both say the same. Numbers and flags may be text, and \
    a flag may be 1 or 0. A field that is absent changes nothing, `null` is as good as absent, of two with the same name \
    the last counts.\n\n\
    A caller shows an access hash, which works from the one address that it was made for: in the header \
    `Authorization: Bearer <hash>`, or in the cookie `access_hash`. The operator makes it on the appliance with `culvert \
    access add`.";

/// What the document says where it speaks of a row of which nothing is said.
pub(super) type Told<'a> = BTreeMap<&'static str, (&'a Group, &'a Operation)>;

/// Every operation by its row's id.
pub(super) fn told(groups: &[Group]) -> Told<'_> {
    groups
        .iter()
        .flat_map(|group| group.operations.iter().map(move |operation| (operation.id, (group, operation))))
        .collect()
}

/// The document of this table.
pub(super) fn document(table: &[Route], groups: &[Group]) -> OpenApi {
    let told = told(groups);
    let mut paths = PathsBuilder::new();
    for route in table {
        let Some((group, operation)) = told.get(route.id) else { continue };
        for (path, method, name) in places(route) {
            let item = PathItem::new(verb(&method), described(route, group, operation, path, &method, name));
            paths = paths.path(path, item);
        }
    }
    let tags = groups.iter().map(|group| (group.name, group.about));
    let tags = tags.chain([(OPERATOR, OPERATOR_ABOUT)]);
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new().title("Culvert").version(VERSION).description(Some(ABOUT)).license(Some(
                License::builder().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0")).build(),
            )),
        )
        .servers(Some([Server::new("/")]))
        .paths(paths)
        .components(Some(components(groups)))
        .security(Some(keys()))
        .tags(Some(tags.map(|(name, about)| TagBuilder::new().name(name).description(Some(about)).build())))
        .build()
}

/// Each path and method of a row, and the name of the operation there: the row's id first.
fn places(route: &Route) -> impl Iterator<Item = (&'static str, Method, String)> {
    let id = route.id;
    let pairs = route.paths.iter().enumerate().flat_map(|(at, path)| {
        let methods = route.methods.iter().enumerate();
        methods.map(move |(nth, method)| {
            let alias = if at == 0 { String::new() } else { format!("_alias{at}") };
            let by = if nth == 0 { String::new() } else { format!("_by_{}", method.as_str().to_ascii_lowercase()) };
            (*path, method.clone(), format!("{id}{by}{alias}"))
        })
    });
    pairs.collect::<Vec<_>>().into_iter()
}

fn verb(method: &Method) -> HttpMethod {
    match *method {
        Method::POST => HttpMethod::Post,
        Method::PUT => HttpMethod::Put,
        Method::DELETE => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

fn described(
    route: &Route,
    group: &Group,
    told: &Operation,
    path: &str,
    method: &Method,
    name: String,
) -> OperationBuilder {
    let is_operators = route.admission == Admission::Operator;
    let alike = route.paths.first().filter(|first| **first != path).map(|first| format!("As `{method} {first}`."));
    let refusals: Vec<Value> = told.refusals.iter().map(|refusal| refusal.to_string().into()).collect();
    let about = [Some(told.about.to_owned()).filter(|about| !about.is_empty()), alike, in_words(told)];
    let about = about.into_iter().flatten().collect::<Vec<_>>().join("\n\n");
    let mut operation = OperationBuilder::new()
        .tag(if is_operators { OPERATOR } else { group.name })
        .operation_id(Some(name))
        .summary(Some(told.summary))
        .description(Some(about).filter(|about| !about.is_empty()));
    for field in located(path, group, told) {
        operation = operation.parameter(parameter(&field, ParameterIn::Path));
    }
    if !told.form.is_empty() {
        operation = if *method == Method::GET {
            told.form
                .iter()
                .fold(operation, |operation, field| operation.parameter(parameter(field, ParameterIn::Query)))
        } else {
            operation.request_body(Some(body(told)))
        };
    }
    if let Some(media) = told.file {
        let file = ObjectBuilder::new().schema_type(Type::String).content_media_type(media);
        let content = Content::new(Some(Schema::from(file)));
        let body = RequestBodyBuilder::new().required(Some(Required::True)).content(media, content);
        operation = operation.request_body(Some(body.build()));
    }
    for (code, response) in responses(route, told, path) {
        operation = operation.response(code, response);
    }
    if !refusals.is_empty() {
        operation = operation.extensions(Some(Extensions::builder().add("x-refusals", refusals).build()));
    }
    if route.admission != Admission::Key {
        operation = operation.securities(Some([]));
    }
    operation
}

/// The texts of refusals as a list.
fn in_words(told: &Operation) -> Option<String> {
    let lines: Vec<_> = told.refusals.iter().map(|refusal| format!("- {refusal}")).collect();
    (!lines.is_empty()).then(|| format!("Refuses with:\n\n{}", lines.join("\n")))
}

/// The places of a path, as fields.
pub(super) fn located(path: &str, group: &Group, told: &Operation) -> Vec<Field> {
    let names = path.split('/').filter_map(|place| place.strip_prefix('{')?.strip_suffix('}'));
    let of = |name: &str| {
        let known = told.places.iter().find(|place| place.name == name).cloned();
        let (about, example) = group.named;
        let of_group = || Field::new(name, Kind::Text(limits::NAME_LENGTH), about).such_as(example);
        known.unwrap_or_else(of_group).required()
    };
    names.map(of).collect()
}

fn parameter(field: &Field, from: ParameterIn) -> Parameter {
    let required = if field.is_required { Required::True } else { Required::False };
    let parameter = ParameterBuilder::new().name(&*field.name).parameter_in(from).required(required);
    parameter.description(Some(field.about)).schema(Some(field.schema())).build()
}

/// A form, as both media types have it.
fn body(told: &Operation) -> RequestBody {
    let is_required = told.form.iter().any(|field| field.is_required);
    let content = || Content::new(Some(Ref::from_schema_name(told.form_name())));
    RequestBodyBuilder::new()
        .required(Some(if is_required { Required::True } else { Required::False }))
        .content("application/x-www-form-urlencoded", content())
        .content(JSON, content())
        .build()
}

fn form_schema(form: &[Field]) -> Object {
    let object = ObjectBuilder::new().schema_type(Type::Object);
    let object = form.iter().fold(object, |object, field| object.property(&*field.name, field.schema()));
    let required = form.iter().filter(|field| field.is_required);
    required.fold(object, |object, field| object.required(&*field.name)).build()
}

/// What may be answered, by code.
fn responses(route: &Route, told: &Operation, path: &str) -> Vec<(&'static str, RefOr<Response>)> {
    let shared = |name: &str| RefOr::Ref(Ref::from_response_name(name));
    let own = ResponseBuilder::new().description("Done, or refused: `status` says which.");
    let own = own.content(told.answer.media, Content::new(Some(told.answer.body())));
    let may_refuse = matches!(route.admission, Admission::Key | Admission::Operator);
    let own = match (told.answer.is_enveloped, may_refuse) {
        (true, _) => own,
        (false, true) => own.content(JSON, Content::new(Some(Ref::from_schema_name(REFUSED)))),
        (false, false) => own.description("Done."),
    };
    let mut responses = vec![("200", RefOr::T(own.build()))];
    match route.admission {
        Admission::Anyone | Admission::Guest | Admission::Session => return responses,
        Admission::Link => {
            let page = |about: &str| {
                let content = Content::new(Some(told.answer.body()));
                RefOr::T(ResponseBuilder::new().description(about).content(told.answer.media, content).build())
            };
            responses.push(("404", page("The link is used up, has ended or never was.")));
            responses.push(("429", page("Too many wrong keys from this address.")));
            responses.push(("500", page("The fault is the appliance's.")));
            return responses;
        }
        // nobody on this host counts wrong tries; from elsewhere there is nothing here
        Admission::Operator => responses.push(("404", shared("NotFound"))),
        Admission::Key => {
            if path.contains('{') {
                responses.push(("404", shared("NotFound")));
            }
            responses.push(("403", shared("NotAllowed")));
            responses.push(("429", shared("TooManyRequests")));
        }
    }
    if !told.form.is_empty() {
        responses.push(("413", shared("TooLarge")));
    }
    responses.push(("500", shared("Fault")));
    responses
}

fn components(groups: &[Group]) -> utoipa::openapi::Components {
    let refusal = |about: &str| {
        let content = Content::new(Some(Ref::from_schema_name(REFUSED)));
        ResponseBuilder::new().description(about).content(JSON, content)
    };
    let number =
        ObjectBuilder::new().schema_type(Type::String).description(Some("The number of the fault in the log."));
    let number = HeaderBuilder::new().schema(Some(Schema::from(number))).build();
    let operations = groups.iter().flat_map(|group| &group.operations).filter(|operation| !operation.form.is_empty());
    let forms = operations.map(|operation| (operation.form_name(), Schema::from(form_schema(&operation.form))));
    let bearer =
        Http::builder().scheme(HttpAuthScheme::Bearer).description(Some("The access hash as a token (RFC 6750)."));
    let cookie = ApiKeyValue::with_description(COOKIE, "The access hash in a cookie.");
    ComponentsBuilder::new()
        .schema(REFUSED, operation::refused())
        .schemas_from_iter(operation::every_shape(groups))
        .schemas_from_iter(forms)
        .response("NotAllowed", refusal("The access hash is not for this.").build())
        .response("NotFound", refusal("The path names nothing.").build())
        .response("TooLarge", refusal("The body is larger than any form needs.").build())
        .response("TooManyRequests", refusal("Too many wrong access hashes from this address.").build())
        .response(
            "Fault",
            refusal("The fault is the appliance's; its log has the cause.").header(error::NUMBER, number).build(),
        )
        .security_scheme("bearer", SecurityScheme::Http(bearer.build()))
        .security_scheme("cookie", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)))
        .build()
}

/// Either of the two is enough.
fn keys() -> [SecurityRequirement; 2] {
    ["bearer", "cookie"].map(|name| SecurityRequirement::new(name, Vec::<String>::new()))
}
