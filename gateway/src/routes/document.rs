//! How a route is described, and the OpenAPI document made of all descriptions.

use super::table::{Route, Verb};
use crate::{answers::ErrorBody, auth::Access};
use utoipa::{
    ToSchema,
    openapi::{
        Components, Content, HttpMethod, Info, OpenApi, Paths, Ref, RefOr, Required, ResponseBuilder, Schema,
        path::{Operation, OperationBuilder, ParameterBuilder, ParameterIn},
        request_body::RequestBodyBuilder,
        schema::{ObjectBuilder, OneOfBuilder, Type},
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};

const SECURITY: &str = "bearer";
const JSON: &str = "application/json";
const ABOUT: &str = "Runs Terraform and OpenTofu on a fleet: start a run, watch its log live, approve its plan.";

/// The description of a route.
pub(crate) struct Doc {
    operation: OperationBuilder,
    schemas: Vec<(String, RefOr<Schema>)>,
    /// The query parameters it reads; others are refused.
    pub(crate) queries: Vec<&'static str>,
}

impl Doc {
    /// A route and what it is for.
    pub(crate) fn new(tag: &str, summary: &str) -> Self {
        Self { operation: OperationBuilder::new().tag(tag).summary(Some(summary)), schemas: Vec::new(), queries: Vec::new() }
    }

    /// It takes this as its body.
    pub(crate) fn takes<T: ToSchema>(mut self, required: bool) -> Self {
        let content = Content::new(Some(self.reference::<T>()));
        let required = if required { Required::True } else { Required::False };
        self.operation =
            self.operation.request_body(Some(RequestBodyBuilder::new().content(JSON, content).required(Some(required)).build()));
        self
    }

    /// It takes a text as its body.
    pub(crate) fn takes_text(mut self, about: &str, kind: &str) -> Self {
        let content = Content::new(Some(RefOr::T(Schema::from(ObjectBuilder::new().schema_type(Type::String)))));
        let body = RequestBodyBuilder::new().description(Some(about)).content(kind, content).required(Some(Required::True));
        self.operation = self.operation.request_body(Some(body.build()));
        self
    }

    /// It takes one of two things as its body.
    pub(crate) fn takes_either<A: ToSchema, B: ToSchema>(mut self) -> Self {
        let content = Content::new(Some(self.either::<A, B>()));
        self.operation =
            self.operation.request_body(Some(RequestBodyBuilder::new().content(JSON, content).required(Some(Required::True)).build()));
        self
    }

    /// It answers with one of two things.
    pub(crate) fn gives_either<A: ToSchema, B: ToSchema>(mut self, status: u16, about: &str) -> Self {
        let content = Content::new(Some(self.either::<A, B>()));
        self.operation =
            self.operation.response(status.to_string(), ResponseBuilder::new().description(about).content(JSON, content).build());
        self
    }

    fn either<A: ToSchema, B: ToSchema>(&mut self) -> RefOr<Schema> {
        let (a, b) = (self.reference::<A>(), self.reference::<B>());
        RefOr::T(Schema::OneOf(OneOfBuilder::new().item(a).item(b).build()))
    }

    /// It answers with this.
    pub(crate) fn gives<T: ToSchema>(mut self, status: u16, about: &str) -> Self {
        let content = Content::new(Some(self.reference::<T>()));
        self.operation =
            self.operation.response(status.to_string(), ResponseBuilder::new().description(about).content(JSON, content).build());
        self
    }

    /// It answers with something that is not JSON.
    pub(crate) fn gives_text(mut self, status: u16, about: &str, kind: &str) -> Self {
        let content = Content::new(Some(RefOr::T(Schema::from(ObjectBuilder::new().schema_type(Type::String)))));
        self.operation =
            self.operation.response(status.to_string(), ResponseBuilder::new().description(about).content(kind, content).build());
        self
    }

    /// It answers with this, or with something that is not JSON, as the caller prefers.
    pub(crate) fn gives_or_text<T: ToSchema>(mut self, status: u16, about: &str, kind: &str) -> Self {
        let json = Content::new(Some(self.reference::<T>()));
        let text = Content::new(Some(RefOr::T(Schema::from(ObjectBuilder::new().schema_type(Type::String)))));
        let response = ResponseBuilder::new().description(about).content(JSON, json).content(kind, text).build();
        self.operation = self.operation.response(status.to_string(), response);
        self
    }

    /// It answers with nothing.
    pub(crate) fn gives_nothing(mut self, status: u16, about: &str) -> Self {
        self.operation = self.operation.response(status.to_string(), ResponseBuilder::new().description(about).build());
        self
    }

    /// It may refuse.
    pub(crate) fn refuses(mut self, refusals: &[(u16, &str)]) -> Self {
        for (status, about) in refusals {
            self = self.gives::<ErrorBody>(*status, about);
        }
        self
    }

    /// It reads a query parameter.
    pub(crate) fn query(mut self, name: &'static str, about: &str) -> Self {
        self.queries.push(name);
        self.parameter(name, ParameterIn::Query, about)
    }

    /// It reads a header.
    pub(crate) fn header(self, name: &str, about: &str) -> Self {
        self.parameter(name, ParameterIn::Header, about)
    }

    fn parameter(mut self, name: &str, place: ParameterIn, about: &str) -> Self {
        let required = if matches!(place, ParameterIn::Path) { Required::True } else { Required::False };
        let text = ObjectBuilder::new().schema_type(Type::String);
        let parameter =
            ParameterBuilder::new().name(name).parameter_in(place).required(required).description(Some(about)).schema(Some(text));
        self.operation = self.operation.parameter(parameter.build());
        self
    }

    fn reference<T: ToSchema>(&mut self) -> RefOr<Schema> {
        T::schemas(&mut self.schemas);
        self.schemas.push((T::name().into_owned(), T::schema()));
        RefOr::Ref(Ref::from_schema_name(T::name()))
    }

    /// The finished operation of a route, and the schemas it refers to.
    fn finish(self, path: &str, access: Access) -> (Operation, Vec<(String, RefOr<Schema>)>) {
        let mut doc = self;
        if path.contains("{id}") {
            doc = doc.parameter("id", ParameterIn::Path, "Id of the run, of the key, or of whatever is asked for.");
        }
        if path.contains("{source}") {
            doc = doc.parameter("source", ParameterIn::Path, "Id of the source, as in `[[sources]]`.");
        }
        if path.contains("{num}") {
            doc = doc.parameter("num", ParameterIn::Path, "Number of the order: `0001` or `1` is the first one.");
        }
        if access != Access::Open {
            doc = doc.refuses(&[
                (401, "No key, or not a valid one."),
                (403, "The key lacks the scope."),
                (503, "The store cannot be reached."),
            ]);
            doc.operation = doc.operation.security(SecurityRequirement::new::<_, _, &str>(SECURITY, []));
        }
        (doc.operation.description(Some(access_text(access))).build(), doc.schemas)
    }
}

fn access_text(access: Access) -> String {
    match access {
        Access::Open => "Needs no key.".to_owned(),
        Access::OpenOnLoopback => "Needs no key where the gateway listens on a loopback address only.".to_owned(),
        Access::AnyKey => "Needs a key with any scope.".to_owned(),
        Access::KeyOrProof => "Needs a key with the scope `deploy`, or a signature.".to_owned(),
        Access::KeyOrSignature => {
            "Needs a key with the scope `deploy`; for syncs and versions a signature with the first source's secret will do.".to_owned()
        }
        Access::Signature => "Needs the signature of the source's forge, and no key.".to_owned(),
        Access::Needs(scope) => format!("Needs the scope `{scope}`."),
    }
}

/// The document of all routes.
pub(crate) fn of(routes: Vec<Route>) -> OpenApi {
    let mut paths = Paths::new();
    let mut components = Components::new();
    for route in routes {
        let (path, verb) = (route.path, method(route.verb));
        let (operation, schemas) = route.doc.finish(path, route.access);
        components.schemas.extend(schemas);
        paths.add_path_operation(path, vec![verb], operation);
    }
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    components.add_security_scheme(SECURITY, bearer);
    let mut info = Info::new("Navvy", env!("CARGO_PKG_VERSION"));
    info.description = Some(ABOUT.to_owned());
    let mut document = OpenApi::new(info, paths);
    document.components = Some(components);
    document
}

fn method(verb: Verb) -> HttpMethod {
    match verb {
        Verb::Get => HttpMethod::Get,
        Verb::Post => HttpMethod::Post,
        Verb::Delete => HttpMethod::Delete,
    }
}
