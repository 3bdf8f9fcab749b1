//! Ways in by HTTP: the contract's API and what the operator's own commands speak.
//!
//! A request's road: a row of [`routes`], the caller, the form, a draft, a service, the envelope. A handler names no
//! rule and a service names no HTTP. [`server`] owns the listeners; in between stands nothing but bounds.

mod address;
mod api;
mod body;
mod caller;
mod certificate;
mod connection;
mod doorkeeper;
mod envelope;
mod error;
mod exposition;
mod form;
mod landing;
mod link_page;
mod local_socket;
mod metrics;
mod openapi;
mod panel;
mod places;
pub mod routes;
pub mod server;
mod stall;
pub mod tls;

use std::any::Any;

use axum::extract::Request;
use axum::http::{HeaderValue, Uri, header};
use axum::response::Response;
use axum::{Extension, Router, middleware};
use ipnet::IpNet;
use tower::ServiceExt as _;
use tower_http::catch_panic::CatchPanicLayer;

pub use address::Remote;
pub use local_socket::FILE_NAME as LOCAL_SOCKET;

use crate::domain::refusal::Refusal;
use crate::services::{Caller, Metrics, Services};
use address::Proxies;
use caller::Gate;
use error::Problem;
use link_page::Guard;
use panel::visit;
use routes::{Admission, Route};

/// What the world reaches: every row but the operator's, each behind its admission.
///
/// A request without a [`Remote`] among its extensions comes from nowhere and is not authorized.
pub fn router(services: Services, proxies: Vec<IpNet>) -> Router {
    let guard = Guard::new(services.clone(), Proxies::new(proxies.clone()));
    let door = visit::Gate::new(services.users.clone(), proxies.clone());
    let gate = Gate::new(services.access.clone(), proxies);
    let metrics = &services.metrics;
    let open = rows(metrics, |route| route.admission == Admission::Anyone);
    let links = rows(metrics, |route| route.admission == Admission::Link);
    let links = links.route_layer(middleware::from_fn_with_state(guard, link_page::limit));
    let keyed = rows(metrics, |route| route.admission == Admission::Key);
    let keyed = keyed.route_layer(middleware::from_fn_with_state(gate, caller::authorize));
    let guests = rows(metrics, |route| route.admission == Admission::Guest);
    let guests = guests.route_layer(middleware::from_fn_with_state(door.clone(), visit::receive));
    let pages = rows(metrics, |route| route.admission == Admission::Session);
    let pages = pages.route_layer(middleware::from_fn_with_state(door, visit::admit));
    finish(open.merge(links).merge(keyed).merge(guests).merge(pages), services)
}

/// What the operator reaches on the machine itself: every row but the pages of the panel, with no hash to show.
pub fn local_router(services: Services) -> Router {
    finish(rows(&services.metrics, |route| !route.is_page()).layer(Extension(Caller::local())), services)
}

/// The rows that are wanted, each with a watch at its side.
fn rows(metrics: &Metrics, wanted: impl Fn(&Route) -> bool) -> Router<Services> {
    let wanted = routes::every().into_iter().filter(wanted);
    wanted.fold(Router::new(), |router, route| {
        let watch = middleware::from_fn_with_state((metrics.clone(), route.id), metrics::measure);
        let permit = middleware::from_fn_with_state(route.right, caller::permit);
        let endpoint = match route.admission {
            Admission::Key => route.endpoint().layer(permit).layer(watch),
            Admission::Session => {
                route.endpoint().layer(middleware::from_fn_with_state(route.right, visit::permit)).layer(watch)
            }
            Admission::Anyone | Admission::Link | Admission::Operator | Admission::Guest => {
                route.endpoint().layer(watch)
            }
        };
        route.paths.iter().fold(router, |router, path| router.route(path, endpoint.clone()))
    })
}

/// Adds what holds for every request. The slash is trimmed before routing, so that stands outside of it.
fn finish<S: Clone + Send + Sync + 'static>(router: Router<S>, state: S) -> Router {
    let router = router
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .with_state(state)
        .layer(CatchPanicLayer::custom(|payload: Box<dyn Any + Send>| error::panicked(payload.as_ref())))
        .layer(middleware::map_response(guard));
    Router::new().fallback_service(router.map_request(trim_slash))
}

async fn unknown_path(request: Request) -> Problem {
    body::discard(request.into_body()).await;
    Refusal::PathUnknown.into()
}

async fn wrong_method(request: Request) -> Problem {
    body::discard(request.into_body()).await;
    Refusal::MethodNotAllowed.into()
}

/// Answers hold keys and passwords: nobody keeps them, nobody guesses what they are.
async fn guard(mut response: Response) -> Response {
    let headers = response.headers_mut();
    // a file of the panel, which says what it is by its name, may be kept
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Takes `/path/` for `/path`: the contract's own examples write both.
fn trim_slash(mut request: Request) -> Request {
    let path = request.uri().path();
    let trimmed = path.trim_end_matches('/');
    if trimmed.len() == path.len() || trimmed.is_empty() {
        return request;
    }
    let target = request.uri().query().map_or_else(|| trimmed.to_owned(), |query| format!("{trimmed}?{query}"));
    // a piece of a valid target is one; if not, the request goes on as it came
    if let Ok(uri) = target.parse::<Uri>() {
        *request.uri_mut() = uri;
    }
    request
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn answers_500_for_a_handler_that_panics_and_goes_on() {
        async fn broken() {
            panic!("a secret");
        }
        let router = finish(Router::new().route("/broken", get(broken)).route("/whole", get(|| async {})), ());
        let ask = |path| router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap());

        let answer = ask("/broken").await.unwrap();

        assert_eq!(answer.status(), 500);
        assert!(answer.headers().contains_key("x-fault"));
        assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, r#"{"error":"Internal error","msg":"","status":"error"}"#);
        assert_eq!(ask("/whole").await.unwrap().status(), 200);
    }

    #[test]
    fn trims_the_slash_and_keeps_the_query() {
        for (given, kept) in [("/a/", "/a"), ("/a//?b=/", "/a?b=/"), ("/", "/"), ("/a", "/a"), ("//", "//")] {
            let request = trim_slash(Request::get(given).body(Body::empty()).unwrap());
            assert_eq!(request.uri(), kept);
        }
    }
}
