//! Embedded pages: a store's tablet, the dispatchers' board, a courier's phone, the documents of the
//! API with a page that shows them; and the page of a tracking link, which is rendered for each
//! request (`track`).
//!
//! The first are files of `assets`, built into the program and served as they are: there is no build
//! step and no template, so a page says nothing about anyone. What is to be seen comes over the
//! socket, to a token that the page reads from the part of its address that no server is told.
//!
//! Absent on purpose: nothing from outside hosts but the tiles of maps if they are set, no cookie, no
//! data, no script or style but from files; the policy that each answer carries has browsers refuse them.

mod tiles;
mod track;

use std::fmt::Write as _;

use actix_web::http::Method;
use actix_web::http::header::{self, ETag, EntityTag, Header as _, IfNoneMatch};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use sha2::{Digest as _, Sha256};

use crate::docs;

/// What a page may do: load files from here, talk to here, and nothing else. `'self'` covers
/// `ws:` and `wss:` of the same host (CSP level 3).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const DRAWING: &str = "image/svg+xml";
const JSON: &str = "application/json";

/// A file and where it is served.
#[derive(Debug, Clone, Copy)]
struct Asset {
    path: &'static str,
    kind: &'static str,
    text: fn() -> &'static str,
}

macro_rules! assets {
    ($($path:literal $kind:ident $file:literal)*) => {
        &[
            $(Asset { path: $path, kind: $kind, text: || include_str!(concat!("assets/", $file)) },)*
            Asset { path: "/openapi.json", kind: JSON, text: docs::openapi },
            Asset { path: "/asyncapi.json", kind: JSON, text: docs::asyncapi },
        ]
    };
}

const ASSETS: &[Asset] = assets! {
    "/" HTML "index.html"
    "/courier" HTML "courier.html"
    "/dispatch" HTML "dispatch.html"
    "/docs" HTML "docs.html"
    "/store" HTML "store.html"
    "/assets/acting.js" SCRIPT "acting.js"
    "/assets/alarms.js" SCRIPT "alarms.js"
    "/assets/awake.js" SCRIPT "awake.js"
    "/assets/board.js" SCRIPT "board.js"
    "/assets/citymap.js" SCRIPT "citymap.js"
    "/assets/client.js" SCRIPT "client.js"
    "/assets/courier.css" STYLE "courier.css"
    "/assets/courier.js" SCRIPT "courier.js"
    "/assets/crew.js" SCRIPT "crew.js"
    "/assets/dispatch.css" STYLE "dispatch.css"
    "/assets/dispatch.js" SCRIPT "dispatch.js"
    "/assets/dispatching.js" SCRIPT "dispatching.js"
    "/assets/docs.css" STYLE "docs.css"
    "/assets/docs.js" SCRIPT "docs.js"
    "/assets/dossier.js" SCRIPT "dossier.js"
    "/assets/dragging.js" SCRIPT "dragging.js"
    "/assets/filters.js" SCRIPT "filters.js"
    "/assets/fleet.js" SCRIPT "fleet.js"
    "/assets/fold.js" SCRIPT "fold.js"
    "/assets/geo.js" SCRIPT "geo.js"
    "/assets/hands.js" SCRIPT "hands.js"
    "/assets/holding.js" SCRIPT "holding.js"
    "/assets/icon.svg" DRAWING "icon.svg"
    "/assets/icons.svg" DRAWING "icons.svg"
    "/assets/journey.js" SCRIPT "journey.js"
    "/assets/map.css" STYLE "map.css"
    "/assets/map.js" SCRIPT "map.js"
    "/assets/markers.js" SCRIPT "markers.js"
    "/assets/offers.js" SCRIPT "offers.js"
    "/assets/outbox.js" SCRIPT "outbox.js"
    "/assets/page.js" SCRIPT "page.js"
    "/assets/picker.js" SCRIPT "picker.js"
    "/assets/prove.css" STYLE "prove.css"
    "/assets/prove.js" SCRIPT "prove.js"
    "/assets/reel.js" SCRIPT "reel.js"
    "/assets/scan.js" SCRIPT "scan.js"
    "/assets/sound.js" SCRIPT "sound.js"
    "/assets/stops.js" SCRIPT "stops.js"
    "/assets/store.css" STYLE "store.css"
    "/assets/store.js" SCRIPT "store.js"
    "/assets/store_alerts.js" SCRIPT "store_alerts.js"
    "/assets/store_call.js" SCRIPT "store_call.js"
    "/assets/store_order.js" SCRIPT "store_order.js"
    "/assets/store_words.js" SCRIPT "store_words.js"
    "/assets/style.css" STYLE "style.css"
    "/assets/tickets.js" SCRIPT "tickets.js"
    "/assets/tiles.js" SCRIPT "tiles.js"
    "/assets/timeline.js" SCRIPT "timeline.js"
    "/assets/track.css" STYLE "track.css"
    "/assets/track.js" SCRIPT "track.js"
    "/assets/tracker.js" SCRIPT "tracker.js"
    "/assets/undone.js" SCRIPT "undone.js"
    "/assets/upload.js" SCRIPT "upload.js"
    "/assets/whereabouts.js" SCRIPT "whereabouts.js"
};

/// Adds the pages.
pub fn configure(services: &mut ServiceConfig) {
    tiles::configure(services);
    track::configure(services);
    // The board's first address, kept for those who know it; browsers take the fragment along.
    services.service(web::redirect("/board", "dispatch").permanent());
    for asset in ASSETS {
        let tag = tag((asset.text)());
        let answer = move |request: HttpRequest| {
            let response = respond(asset, &tag, &request);
            async move { response }
        };
        services.service(
            web::resource(asset.path)
                .route(web::get().to(answer.clone()))
                .route(web::method(Method::HEAD).to(answer)),
        );
    }
}

fn respond(asset: &Asset, tag: &EntityTag, request: &HttpRequest) -> HttpResponse {
    let known = match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(tag)),
        Err(_) => false,
    };
    let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header(ETag(tag.clone()))
        // Kept by browsers, but never used without asking: a new release is seen at once.
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::CONTENT_SECURITY_POLICY, tiles::policy(POLICY, request)))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header(("x-robots-tag", "noindex"));
    if known {
        return response.finish();
    }
    response.insert_header((header::CONTENT_TYPE, asset.kind)).body((asset.text)())
}

/// The text's own tag: it changes with the text and with nothing else.
fn tag(text: &str) -> EntityTag {
    let mut tag = String::new();
    // 64 bits tell the few releases of one file apart.
    for byte in Sha256::digest(text).iter().take(8) {
        // Writing to a text cannot fail.
        let _written = write!(tag, "{byte:02x}");
    }
    EntityTag::new_strong(tag)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use actix_web::dev::{Service, ServiceResponse};
    use actix_web::http::StatusCode;
    use actix_web::test::{TestRequest, call_service, init_service, read_body};
    use actix_web::{App, Error};

    use super::*;

    async fn app() -> impl Service<actix_http::Request, Response = ServiceResponse, Error = Error> {
        init_service(App::new().configure(configure)).await
    }

    fn header<'a>(response: &'a ServiceResponse, name: &str) -> &'a str {
        response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[actix_web::test]
    async fn every_asset_is_served_as_what_it_is_and_under_the_policy() {
        let app = app().await;
        for asset in ASSETS {
            let request = TestRequest::get().uri(asset.path).to_request();
            let response = call_service(&app, request).await;
            assert_eq!(response.status(), StatusCode::OK, "{}", asset.path);
            assert_eq!(header(&response, "content-type"), asset.kind, "{}", asset.path);
            assert_eq!(header(&response, "cache-control"), "no-cache");
            assert_eq!(header(&response, "content-security-policy"), POLICY);
            assert_eq!(header(&response, "referrer-policy"), "no-referrer");
            assert_eq!(header(&response, "x-content-type-options"), "nosniff");
            assert_eq!(header(&response, "x-robots-tag"), "noindex");
            assert_eq!(read_body(response).await, (asset.text)().as_bytes(), "{}", asset.path);
        }
    }

    #[actix_web::test]
    async fn a_browser_that_has_an_asset_is_not_sent_it_again() {
        let app = app().await;
        for asset in ASSETS {
            let first = call_service(&app, TestRequest::get().uri(asset.path).to_request()).await;
            let tag = header(&first, "etag").to_owned();
            for known in [tag.clone(), format!("W/{tag}"), format!("\"old\", {tag}"), "*".into()] {
                let request = TestRequest::get().uri(asset.path);
                let request = request.insert_header(("if-none-match", known.as_str()));
                let again = call_service(&app, request.to_request()).await;
                assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{} {known}", asset.path);
                assert_eq!(header(&again, "etag"), tag);
                assert_eq!(header(&again, "content-security-policy"), POLICY);
                assert!(read_body(again).await.is_empty());
            }
            let request = TestRequest::get().uri(asset.path);
            let request = request.insert_header(("if-none-match", "\"old\""));
            let changed = call_service(&app, request.to_request()).await;
            assert_eq!(changed.status(), StatusCode::OK, "{}", asset.path);
        }
    }

    #[actix_web::test]
    async fn pages_are_for_looking_at_only() {
        let app = app().await;
        let head = TestRequest::default().method(Method::HEAD).uri("/dispatch").to_request();
        assert_eq!(call_service(&app, head).await.status(), StatusCode::OK);
        let post = TestRequest::post().uri("/dispatch").to_request();
        let refused = call_service(&app, post).await.status();
        assert_eq!(refused, StatusCode::METHOD_NOT_ALLOWED);
    }

    #[actix_web::test]
    async fn the_boards_first_address_leads_to_it() {
        let old = TestRequest::get().uri("/board").to_request();
        let moved = call_service(&app().await, old).await;
        assert_eq!(moved.status(), StatusCode::PERMANENT_REDIRECT);
        assert_eq!(header(&moved, "location"), "dispatch");
    }

    #[test]
    fn assets_with_different_texts_have_different_tags() {
        let tags: HashSet<_> = ASSETS.iter().map(|asset| tag((asset.text)()).to_string()).collect();
        assert_eq!(tags.len(), ASSETS.len());
    }

    /// What stands between `start` and the next quotation mark, everywhere in `text`.
    fn quoted<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
        text.split(start).skip(1).filter_map(|rest| rest.split('"').next()).collect()
    }

    #[test]
    fn whatever_an_asset_refers_to_is_served() {
        let served: HashSet<_> = ASSETS.iter().map(|asset| asset.path).collect();
        for asset in ASSETS {
            let base = if asset.kind == SCRIPT { "/assets/" } else { "/" };
            let mut names = quoted((asset.text)(), " from \"./");
            if asset.kind == HTML {
                names.extend(quoted((asset.text)(), " href=\""));
                names.extend(quoted((asset.text)(), " src=\""));
            }
            for name in names {
                let path = name.split('#').next().unwrap().trim_start_matches("./");
                let here = name.starts_with('#');
                assert!(here || served.contains(&*format!("{base}{path}")), "{name}");
            }
        }
    }

    #[test]
    fn pages_need_nothing_that_the_policy_forbids() {
        for asset in ASSETS.iter().filter(|asset| ![DRAWING, JSON].contains(&asset.kind)) {
            // The name of a vocabulary is no address.
            let text = (asset.text)().replace("http://www.w3.org/2000/svg", "");
            for foreign in ["http://", "https://", "src=\"//", "@import", "url("] {
                assert!(!text.contains(foreign), "{}: {foreign}", asset.path);
            }
        }
        for page in ASSETS.iter().filter(|asset| asset.kind == HTML) {
            for inline in ["<script>", "<style", " style=\"", " onclick=", "javascript:"] {
                assert!(!(page.text)().contains(inline), "{}: {inline}", page.path);
            }
            assert!((page.text)().contains("<html lang=\"en\">"), "{}", page.path);
        }
    }
}
