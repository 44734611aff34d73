//! Proofs of hand-overs: handing them in, and looking at them.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Uri;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use super::body::{ActionBody, bounded_text, parse, required_text, word};
use super::orders::order_id;
use super::{Api, Asked, Problem, audience, only};
use crate::auth::Principal;
use crate::domain::{
    Command, NewProof, Picture, PictureType, ProofContent, ProofId, ProofKind, ProofPoint, Role,
    Word as _,
};
use crate::store::KeptPicture;
use crate::view::{self, Audience, schema};

/// Longest address of a picture, and longest text of a scanned code, in bytes.
const TEXT_MAX: usize = 2_048;
/// Longer than any proof is kept.
const ANY_AGE: Duration = Duration::from_hours(100 * 365 * 24);

/// A proof to hand in: a picture by `url`, or by `data` with its `content_type`; a scanned code by
/// `ref`. It also takes `at`, `lat` and `lng` of the device, as an action does.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProofBody {
    /// Of which hand-over.
    #[schema(value_type = schema::ProofPoint)]
    point: String,
    /// What it is; a PIN is given with the hand-over.
    #[schema(value_type = schema::ProofKind)]
    kind: String,
    /// Where a picture is: an address over https.
    #[schema(min_length = 1, max_length = 2048)]
    url: Option<String>,
    /// A picture in base64, of up to `proofs.data_limit_bytes`.
    data: Option<String>,
    /// What that picture is.
    #[schema(value_type = Option<schema::PictureType>)]
    content_type: Option<String>,
    /// The text of a scanned code.
    #[serde(rename = "ref")]
    #[schema(min_length = 1, max_length = 2048)]
    reference: Option<String>,
}

/// What handing in a proof is answered with.
#[derive(Debug, Clone, PartialEq)]
pub struct ProofAnswer {
    /// The proof as whoever handed it in sees it.
    pub body: Value,
    /// The order's version.
    pub version: i64,
    /// Whether it is a new one.
    pub created: bool,
    /// Whether its key was answered like this before, and nothing was done this time.
    pub replayed: bool,
}

impl Api {
    /// Adds a proof to an order. The same proof of the same hand-over is added once.
    pub async fn add_proof(
        &self,
        asked: &Asked,
        order: &str,
        body: Value,
    ) -> Result<ProofAnswer, Problem> {
        let principal = &asked.principal;
        only(principal, &[Role::Driver, Role::Store, Role::Ops])?;
        let order = order_id(order)?;
        // Held until it is written: the bytes of all who wait for the writer have a bound.
        let _permit = self.proof_uploads.try_acquire().map_err(|_full| Problem::overloaded())?;
        let fingerprint = body.clone();
        let (circumstances, body) = split(body);
        let circumstances: ActionBody = parse(circumstances)?;
        let proof = self.new_proof(parse(body)?)?;
        let (id, hash) = (proof.id, proof.hash.clone());
        let (point, kind) = (proof.point, proof.kind);
        let command = Command::AddProof(Box::new(proof));
        let request = ("add_proof", order.to_string(), fingerprint);
        let answer = self.command(asked, order, command, request, circumstances).await?;
        // As it was recorded: a repeat is answered with the first one.
        let proofs = self.database.list_proofs(principal.tenant, order, ANY_AGE).await?;
        let same = |proof: &&view::ShownProof| {
            (proof.point, proof.kind) == (point, kind) && proof.hash.as_ref() == Some(&hash)
        };
        let found = proofs.iter().rfind(|proof| proof.id == id);
        let created = found.is_some();
        let found = found.or_else(|| proofs.iter().rfind(same)).ok_or_else(Problem::not_found)?;
        let mut body = view::proof(found, audience(principal));
        if let Some(members) = body.as_object_mut() {
            members.insert("version".to_owned(), json!(answer.version));
        }
        let (created, replayed) = (created || answer.created, answer.replayed);
        Ok(ProofAnswer { body, version: answer.version, created, replayed })
    }

    /// The proofs of an order that the caller may look at: `{"proofs":[…]}`, the oldest first.
    pub async fn list_proofs(&self, principal: &Principal, order: &str) -> Result<Value, Problem> {
        let (seen, max_age) = self.looks_at_proofs(principal)?;
        let order = order_id(order)?;
        self.visible_order(principal, order).await?;
        let proofs = self.database.list_proofs(principal.tenant, order, max_age).await?;
        let shown = proofs.iter().filter(|it| view::shows_proof(it.point, it.kind, seen));
        let shown: Vec<Value> = shown.map(|proof| view::proof(proof, seen)).collect();
        Ok(json!({"proofs": shown}))
    }

    /// The picture of a proof, if it is kept here and the caller may look at it.
    pub async fn find_picture(
        &self,
        principal: &Principal,
        order: &str,
        proof: &str,
    ) -> Result<KeptPicture, Problem> {
        let (seen, max_age) = self.looks_at_proofs(principal)?;
        let order = order_id(order)?;
        let proof: ProofId = proof.parse().map_err(|_| Problem::not_found())?;
        self.visible_order(principal, order).await?;
        let found = self.database.find_picture(principal.tenant, order, proof, max_age).await?;
        found
            .filter(|picture| view::shows_proof(picture.point, picture.kind, seen))
            .ok_or_else(Problem::not_found)
    }

    /// As which audience the caller looks at proofs, and how old they may be.
    fn looks_at_proofs(&self, principal: &Principal) -> Result<(Audience, Duration), Problem> {
        only(principal, &[Role::Platform, Role::Ops, Role::Store, Role::Customer])?;
        let max_age = match principal.role {
            Role::Store => self.config.proofs.store_s.get(),
            Role::Customer | Role::Driver | Role::Ops | Role::Platform | Role::System => ANY_AGE,
        };
        Ok((audience(principal), max_age))
    }

    fn new_proof(&self, body: NewProofBody) -> Result<NewProof, Problem> {
        let point: ProofPoint = word("point", &body.point)?;
        let kind: ProofKind = word("kind", &body.kind)?;
        let takes = |field: &str, given: bool, takes: bool| {
            let refused = || Problem::field(field, format!("a {kind} has none"));
            if given && !takes { Err(refused()) } else { Ok(()) }
        };
        let is_picture = matches!(kind, ProofKind::Photo | ProofKind::Signature);
        takes("url", body.url.is_some(), is_picture)?;
        takes("data", body.data.is_some(), is_picture)?;
        takes("content_type", body.content_type.is_some(), is_picture)?;
        takes("ref", body.reference.is_some(), kind == ProofKind::Scan)?;
        let content = match kind {
            ProofKind::Pin => {
                return Err(Problem::field("kind", "a PIN is given with the hand-over"));
            }
            ProofKind::Scan => {
                let text = body.reference.ok_or_else(|| Problem::field("ref", "is required"))?;
                ProofContent::Text(required_text("ref", text, TEXT_MAX)?)
            }
            ProofKind::Photo | ProofKind::Signature => match (body.url, body.data) {
                (Some(url), None) if body.content_type.is_none() => {
                    ProofContent::Url(picture_url(url)?)
                }
                (Some(_), None) => {
                    return Err(Problem::field("content_type", "comes with data only"));
                }
                (None, Some(data)) => self.picture(&data, body.content_type.as_deref())?,
                (Some(_), Some(_)) => return Err(Problem::field("url", "excludes data")),
                (None, None) => {
                    return Err(Problem::field("url", "is required, or data"));
                }
            },
        };
        let hash = match &content {
            ProofContent::Inline(_, picture) => Sha256::digest(&picture.0),
            ProofContent::Url(text) | ProofContent::Text(text) => Sha256::digest(text.as_bytes()),
        };
        Ok(NewProof { id: ProofId::new(), point, kind, content, hash: hash.to_vec() })
    }

    fn picture(&self, data: &str, content_type: Option<&str>) -> Result<ProofContent, Problem> {
        let content_type =
            content_type.ok_or_else(|| Problem::field("content_type", "is required with data"))?;
        let said: PictureType = word("content_type", content_type)?;
        let most = self.config.proofs.data_limit_bytes;
        // Four characters are three bytes: what is longer is not even decoded.
        let longest = most.div_ceil(3).saturating_mul(4);
        let too_long = || Problem::field("data", format!("is longer than {most} bytes"));
        if data.len() > longest {
            return Err(too_long());
        }
        let bytes = BASE64.decode(data).map_err(|_| Problem::field("data", "is not base64"))?;
        if bytes.len() > most {
            return Err(too_long());
        }
        // What is given out again is what it says, and nothing that a browser would run.
        if PictureType::sniff(&bytes) != Some(said) {
            return Err(Problem::field("data", format!("is no {}", said.word())));
        }
        Ok(ProofContent::Inline(said, Picture(Arc::from(bytes))))
    }
}

/// When and where it was made, which every change may say, and the rest.
fn split(body: Value) -> (Value, Value) {
    let Value::Object(mut rest) = body else { return (json!({}), body) };
    let mut circumstances = Map::new();
    for key in ["at", "lat", "lng"] {
        if let Some(value) = rest.remove(key) {
            circumstances.insert(key.to_owned(), value);
        }
    }
    (Value::Object(circumstances), Value::Object(rest))
}

/// An address that browsers of others may be shown.
fn picture_url(url: String) -> Result<String, Problem> {
    let url = bounded_text("url", url, TEXT_MAX)?;
    let wrong = || Problem::field("url", "must begin with https:// and name a host and no user");
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    let names_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    let has_host = uri.host().is_some_and(|host| !host.is_empty());
    if uri.scheme_str() == Some("https") && has_host && !names_user {
        Ok(url)
    } else {
        Err(wrong())
    }
}
