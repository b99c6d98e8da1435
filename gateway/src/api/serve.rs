//! One request, from its head to its answer. The order of the checks is the point: nobody who is not known learns what there is.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Map, Value};

use crate::api::audit::{Named, Record};
use crate::api::body::{self, Form};
use crate::api::call::{Answered, Call};
use crate::api::failure::{Code, Failure};
use crate::api::keys::{Signer, TurnedAway};
use crate::api::path::{Effect, Group, Path};
use crate::api::paths::{self, Found};
use crate::api::signature::{Claim, Signed};
use crate::api::visitor::Visitor;
use crate::api::{Api, OVERLOAD_RETRY, field};
use crate::clock::Now;
use crate::config::ApiSignature;

/// Largest body: the largest content of a message with every byte of it written as three, and as much again.
pub(super) const BODY_BYTES_MAX: usize = 256 << 10;

/// How long a call may take, its body included. Twice what an order to a room may.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Values of a list that take a tenth of a millisecond to write.
const LONG_ANSWER: usize = 1000;

/// Longest id of a request that is taken over and sent back, as the vendor has it.
const REQUEST_ID_BYTES_MAX: usize = 36;

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// The one thing that is told everybody.
const DOCUMENT: &str = "/openapi.json";

/// Where it is sent back and told in the audit log.
pub(super) const REQUEST_ID: &str = "x-request-id";

/// What became known of a call on its way, however it ends.
#[derive(Debug)]
struct Seen {
    group: Group,
    request_id: String,
}

/// Answers a request of a visitor. Who has signed nothing yet has to connect anew for the next.
pub(super) async fn serve(api: Arc<Api>, visitor: &Visitor, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let mut response = answer(api, visitor, request).await;
    if !visitor.is_known() {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}

async fn answer(api: Arc<Api>, visitor: &Visitor, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    if head.uri.path() == DOCUMENT && head.method == Method::GET {
        let mut response = Response::new(Full::new(api.document.clone()));
        response.headers_mut().insert(header::CONTENT_TYPE, JSON);
        return response;
    }
    let now = Now::read();
    let mut seen = Seen {
        group: Group::None,
        request_id: request_id(&api, &head.headers),
    };
    let answer = tokio::time::timeout(CALL_TIMEOUT, call(&api, visitor, &head, body, now, &mut seen)).await;
    let answered = answer.unwrap_or_else(|_| {
        let message = "the call took too long; whether it was done is not known";
        Err(Failure::new(Code::TIMEOUT, message))
    });
    api.figures.count(seen.group, code_of(&answered), now.instant.elapsed());
    respond(head.uri.path(), &seen.request_id, answered)
}

async fn call(
    api: &Arc<Api>,
    visitor: &Visitor,
    head: &Parts,
    incoming: Incoming,
    now: Now,
    seen: &mut Seen,
) -> Answered {
    let claim = Claim::read(&head.headers)?;
    let mut incoming = Some(incoming);
    let mut bytes = Bytes::new();
    if claim.kind == ApiSignature::Hmac
        && let Some(body) = incoming.take()
    {
        bytes = collect(body).await?;
    }
    let path = head.uri.path();
    let signed = Signed {
        method: head.method.as_str(),
        path,
        body: &bytes,
    };
    let apps = &api.operator.shared().apps;
    // The clock anew: the body may have taken its time, and a call that was near when it began may be too old by now.
    let admitted = api.keys.admit(apps, &claim, signed, Now::read());
    let found = paths::find(path);
    // What is written down of a change by whoever is known to ask for it.
    let record = |signer: Signer| match &found {
        Found::Served(path) if path.effect == Effect::Changes => {
            let settings = &apps.get(signer.app).settings;
            Some(Record {
                at_ms: now.unix_ms,
                app: settings.key.clone(),
                key: settings.api_keys[signer.key].id.clone(),
                path: path.path,
                on: Named::default(),
                request_id: seen.request_id.clone(),
                peer: visitor.address,
            })
        }
        _ => None,
    };
    let signer = match admitted {
        Ok(signer) => signer,
        Err(TurnedAway { failure, .. }) if failure.code == Code::SIGNATURE => {
            return Err(api.guessed(now, visitor.address, failure));
        }
        Err(TurnedAway { failure, signer }) => {
            return Err(api.refused(signer.and_then(record), failure));
        }
    };
    visitor.has_signed();
    let record = record(signer);
    let path: &'static Path = match found {
        Found::Served(path) => path,
        Found::Unserved => {
            return Err(Failure::new(
                Code::NOT_ENABLED,
                "this path of the vendor's is not served",
            ));
        }
        Found::Unknown => return Err(Failure::new(Code::UNKNOWN_PATH, "there is no such path")),
    };
    seen.group = path.group;
    let settings = &apps.get(signer.app).settings;
    let checked = async {
        if head.method != Method::POST {
            return Err(Failure::parameter("the method must be POST"));
        }
        if !settings.api_keys[signer.key].scopes.contains(&path.scope) {
            let message = format!("the key is not for the scope {:?}", path.scope.name());
            return Err(Failure::new(Code::SCOPE, message));
        }
        let form = Form::of(
            head.headers
                .get(header::CONTENT_TYPE)
                .and_then(|kind| kind.to_str().ok()),
        )?;
        if let Some(body) = incoming {
            bytes = collect(body).await?;
        }
        let given = body::parse(form, &bytes)?;
        let fields = field::check(path.fields, settings.id_profile, &given)?;
        let place = api.calls.clone().try_acquire_owned().map_err(|_| {
            let message = "too many calls are under way";
            Failure::new(Code::RATE, message).retry_after(OVERLOAD_RETRY)
        })?;
        Ok((fields, place))
    };
    let (fields, place) = match checked.await {
        Ok(checked) => checked,
        Err(failure) => return Err(api.refused(record, failure)),
    };
    let record = record.map(|record| Record {
        on: Record::named_in(&fields),
        ..record
    });
    let call = Call {
        api: api.clone(),
        app: signer.app,
        now,
        fields,
    };
    // On tasks of their own: what was begun is done and written down, also when whoever asked hangs up, and a panic is an answer.
    let under_way = record.map(|record| api.audit.begin(record));
    let running = tokio::spawn((path.run)(call));
    let finishing = tokio::spawn(async move {
        let _place = place;
        let answered = running.await.unwrap_or_else(|error| {
            tracing::error!(path = path.path, %error, "a call failed");
            Err(Failure::new(Code::INTERNAL, "a fault of the gateway"))
        });
        if let Some(under_way) = under_way {
            under_way.end(code_of(&answered));
        }
        answered
    });
    let fault = |_| Err(Failure::new(Code::INTERNAL, "a fault of the gateway"));
    finishing.await.unwrap_or_else(fault)
}

fn code_of(answered: &Answered) -> Code {
    answered.as_ref().err().map_or(Code::OK, |failure| failure.code)
}

/// All of a body.
async fn collect(body: Incoming) -> Result<Bytes, Failure> {
    let collected = Limited::new(body, BODY_BYTES_MAX).collect().await;
    collected.map(|body| body.to_bytes()).map_err(|error| {
        if error.is::<LengthLimitError>() {
            let message = format!("the body has more than {BODY_BYTES_MAX} bytes");
            Failure::new(Code::TOO_LONG, message)
        } else {
            Failure::parameter("the body broke off")
        }
    })
}

/// The one that came with the request, if it is fit to be written down, or a new one.
fn request_id(api: &Api, headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    let fits = |id: &&str| (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(allowed);
    given.filter(fits).map_or_else(|| api.new_request_id(), str::to_owned)
}

fn respond(path: &str, request_id: &str, answered: Answered) -> Response<Full<Bytes>> {
    let mut status = StatusCode::OK;
    let mut retry_after = Duration::ZERO;
    let object = match answered {
        Ok(mut fields) => {
            fields.insert("code".to_owned(), Code::OK.0.into());
            fields
        }
        Err(failure) => {
            status = failure.status();
            retry_after = failure.retry_after;
            Map::from_iter([
                ("code".to_owned(), failure.code.0.into()),
                ("errorMessage".to_owned(), failure.message.into()),
                ("url".to_owned(), path.into()),
            ])
        }
    };
    let is_long = |value: &Value| value.as_array().is_some_and(|values| values.len() > LONG_ANSWER);
    let text = if object.values().any(is_long) {
        // Some milliseconds, which other threads serve the others in.
        tokio::task::block_in_place(|| Value::Object(object).to_string())
    } else {
        Value::Object(object).to_string()
    };
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, JSON);
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, id);
    }
    if !retry_after.is_zero() {
        // Whole seconds are all that the header knows.
        headers.insert(
            header::RETRY_AFTER,
            retry_after
                .as_millis()
                .div_ceil(1000)
                .min(u128::from(u32::MAX))
                .to_string()
                .parse()
                .expect("digits"),
        );
    }
    response
}
