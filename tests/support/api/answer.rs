//! What the server answers when nothing is broken: authentication, authorization, reads and writes.

use std::sync::Arc;

use base64::Engine as _;
use serde_json::{Value, json};

use super::State;
use super::access::User;
use super::event;
use super::exec::Exec;
use super::failure::Failure;
use super::object::{Definition, Form, Stored, render, text};
use super::patch;
use super::pod;
use super::route::{self, Asked, Selectors, Token, Verb};
use super::store::{Deleted, Origin, Store};
use super::watch::{Tweaks, Watch};

/// An answer that is no refusal.
pub enum Answer {
    /// JSON with a status.
    Json(u16, String),
    /// Plain text with a status.
    Text(u16, &'static str),
    /// A watch that begins.
    Watch(Box<Watch>),
    /// A command that is to run in a pod.
    Exec(Box<Exec>),
}

/// A request with everything that decides about its answer.
pub struct Call<'a> {
    /// What is asked.
    pub asked: &'a Asked,
    /// Path, for those that are no resource.
    pub path: &'a str,
    /// Bearer token.
    pub token: &'a str,
    /// `Accept` header.
    pub accept: &'a str,
    /// `Content-Type` header.
    pub content_type: &'a str,
    /// `Sec-WebSocket-Key` and `Sec-WebSocket-Protocol` headers.
    pub upgrade: (&'a str, &'a str),
    /// Body.
    pub body: &'a [u8],
    /// Faults that concern lists and watches.
    pub tweaks: Tweaks,
    /// Whether the server knows `sendInitialEvents`.
    pub streaming_lists: bool,
}

/// Answers a request.
pub fn answer(state: &mut State, call: Call<'_>) -> Result<Answer, Failure> {
    match call.path {
        "/readyz" | "/livez" | "/healthz" => return Ok(Answer::Text(200, "ok")),
        "/version" => {
            return Ok(Answer::Json(200, json!({"major": "1", "minor": "35", "gitVersion": "v1.35.4-rig"}).to_string()));
        }
        _ => {}
    }
    let user = state.access.get(call.token).ok_or_else(Failure::unauthorized)?;
    if call.asked.verb == Verb::Review {
        return review(user, &json_body(call.body)?);
    }
    let Some(def) = call.asked.definition else {
        return Ok(Answer::Text(404, "404 page not found"));
    };
    if call.asked.verb == Verb::Other {
        return Err(Failure::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource"));
    }
    authorize(user, call.asked, def)?;
    match call.asked.verb {
        Verb::List => list(&state.store, &call, def),
        Verb::StreamList | Verb::Watch => watch(state, call, def),
        Verb::Get => {
            let (namespace, name) = place(call.asked);
            let found = state.store.get(def.plural, namespace, name).ok_or_else(|| Failure::not_found(def.plural, name))?;
            Ok(Answer::Json(200, found.render(def, route::form(call.accept))))
        }
        Verb::Create | Verb::Update | Verb::Patch | Verb::Delete => write(&mut state.store, &call, def),
        Verb::Exec => {
            let (namespace, name) = place(call.asked);
            let pod = state.store.get(def.plural, namespace, name).ok_or_else(|| Failure::not_found(def.plural, name))?;
            let (key, protocols) = call.upgrade;
            Ok(Answer::Exec(Box::new(Exec::new(call.asked, &pod.value, key, protocols)?)))
        }
        Verb::Review | Verb::Other => unreachable!("answered above"),
    }
}

fn authorize(user: &User, asked: &Asked, def: &Definition) -> Result<(), Failure> {
    let (namespace, name, resource) = (asked.namespace.as_deref(), asked.name.as_deref(), asked.resource());
    // As the API server has it, a field selector for one name makes a list or watch a request for that object.
    let selected = name.or(asked.parameter("fieldSelector").strip_prefix("metadata.name="));
    // The method is authorized as ever; since 1.35 an upgrade needs `create` besides.
    let verbs = if asked.verb == Verb::Exec { &["get", "create"][..] } else { &[asked.verb.in_rbac()] };
    match verbs.iter().find(|verb| !user.may(verb, def.group, &resource, namespace, selected)) {
        None => Ok(()),
        Some(verb) => Err(Failure::forbidden(&user.name, verb, def, &resource, namespace, name)),
    }
}

fn review(user: &User, review: &Value) -> Result<Answer, Failure> {
    let part = |name: &str| text(review, &format!("/spec/resourceAttributes/{name}"));
    let namespace = Some(part("namespace")).filter(|namespace| !namespace.is_empty());
    let name = Some(part("name")).filter(|name| !name.is_empty());
    let resource = [part("resource"), part("subresource")].join("/");
    let allowed = user.may(part("verb"), part("group"), resource.trim_end_matches('/'), namespace, name);
    let (kind, api_version) = ("SelfSubjectAccessReview", "authorization.k8s.io/v1");
    let answer = json!({"kind": kind, "apiVersion": api_version, "metadata": {}, "spec": review["spec"], "status": {"allowed": allowed}});
    Ok(Answer::Json(201, render(&answer)))
}

fn place(asked: &Asked) -> (&str, &str) {
    (asked.namespace.as_deref().unwrap_or_default(), asked.name.as_deref().unwrap_or_default())
}

fn json_body(body: &[u8]) -> Result<Value, Failure> {
    serde_json::from_slice(body).map_err(|error| Failure::bad_request(&format!("the object provided is unrecognized: {error}")))
}

fn version_parameter(asked: &Asked) -> Result<u64, Failure> {
    let text = asked.parameter("resourceVersion");
    let wrong = || {
        Failure::new(500, "", &format!("resourceVersion: Invalid value: \"{text}\": strconv.ParseUint: parsing \"{text}\": invalid syntax"))
    };
    if text.is_empty() { Ok(0) } else { text.parse().map_err(|_| wrong()) }
}

fn selectors(asked: &Asked) -> Result<Selectors, Failure> {
    Selectors::parse(asked).map_err(|message| Failure::bad_request(&message))
}

/// The newest version that a reader may see.
fn newest(store: &Store, tweaks: &Tweaks) -> u64 {
    tweaks.stale.map_or(store.version(), |(_, version)| version.min(store.version()))
}

/// The selected objects as they were, in order.
fn select(store: &Store, version: u64, asked: &Asked, def: &Definition, selectors: &Selectors) -> Vec<Arc<Stored>> {
    let objects = store.at(version);
    let mine = objects
        .iter()
        .filter(|((plural, namespace, _), _)| *plural == def.plural && asked.namespace.as_ref().is_none_or(|wanted| wanted == namespace));
    mine.map(|(_, stored)| stored).filter(|stored| selectors.matches(&stored.value)).cloned().collect()
}

fn list(store: &Store, call: &Call<'_>, def: &Definition) -> Result<Answer, Failure> {
    let asked = call.asked;
    if !asked.parameter("sendInitialEvents").is_empty() {
        return Err(Failure::list_options("sendInitialEvents", "Forbidden: sendInitialEvents is forbidden for list"));
    }
    let (selectors, newest, wanted) = (selectors(asked)?, newest(store, &call.tweaks), version_parameter(asked)?);
    let invalid = || Failure::bad_request("invalid continue token: continue key is not valid");
    let token = match asked.parameter("continue") {
        "" => None,
        text => Some(Token::parse(text).ok_or_else(invalid)?),
    };
    let version = match &token {
        Some(Token { version: Some(version), after, page }) => {
            if *version < store.floor() {
                let go_on = Token { version: None, after: after.clone(), page: *page };
                return Err(Failure::continue_expired(&go_on.encode()));
            }
            *version
        }
        _ if wanted > newest => return Err(Failure::too_large(wanted, newest)),
        _ if asked.parameter("resourceVersionMatch") == "Exact" && wanted < store.floor() => {
            return Err(Failure::new(410, "Expired", "The resourceVersion for the provided list is too old."));
        }
        _ if asked.parameter("resourceVersionMatch") == "Exact" => wanted,
        _ => newest,
    };
    let mut items = select(store, version, asked, def, &selectors);
    let page = token.as_ref().map_or(1, |token| token.page);
    if let Some(Token { after, .. }) = &token {
        items.retain(|stored| &sort_key(stored) > after);
    }
    let limit = asked.parameter("limit").parse().ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let remaining = items.len().saturating_sub(limit);
    items.truncate(limit);
    let mut metadata = json!({"resourceVersion": version.to_string()});
    if let Some(last) = items.last().filter(|_| remaining > 0) {
        metadata["continue"] = Token { version: Some(version), after: sort_key(last), page: page + 1 }.encode().into();
        if selectors.is_empty() {
            metadata["remainingItemCount"] = remaining.into();
        }
    }
    let form = route::form(call.accept);
    let (kind, api_version) = match form {
        Form::Full => (format!("{}List", def.kind), def.api_version()),
        Form::Metadata => ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned()),
    };
    let items: Vec<String> = items.iter().map(|stored| stored.render_item(def, form)).collect();
    let head = format!(r#"{{"kind":"{kind}","apiVersion":"{api_version}","metadata":{metadata},"items":["#);
    Ok(Answer::Json(200, format!("{head}{}]}}\n", items.join(","))))
}

fn sort_key(stored: &Stored) -> (String, String) {
    (text(&stored.value, "/metadata/namespace").to_owned(), text(&stored.value, "/metadata/name").to_owned())
}

fn watch(state: &State, call: Call<'_>, def: &'static Definition) -> Result<Answer, Failure> {
    let asked = call.asked;
    let (selectors, newest, wanted) = (selectors(asked)?, newest(&state.store, &call.tweaks), version_parameter(asked)?);
    let streaming = asked.verb == Verb::StreamList;
    if streaming && !call.streaming_lists {
        let rule = "Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled";
        return Err(Failure::list_options("sendInitialEvents", rule));
    }
    if streaming && asked.parameter("resourceVersionMatch") != "NotOlderThan" {
        let rule = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        return Err(Failure::list_options("resourceVersionMatch", rule));
    }
    if streaming && wanted > newest {
        return Err(Failure::too_large(wanted, newest));
    }
    // Without a number a plain watch also begins with what is there.
    let begins = (streaming || wanted == 0) && !call.tweaks.ignore_initial;
    let too_old = !streaming && wanted != 0 && wanted < state.store.floor();
    let watch = Watch {
        token: call.token.to_owned(),
        definition: def,
        form: route::form(call.accept),
        cursor: if streaming || wanted == 0 { newest } else { wanted },
        initial: if begins { select(&state.store, newest, asked, def, &selectors) } else { Vec::new() },
        end_mark: streaming && begins,
        refusal: too_old.then(|| Failure::expired(wanted, state.store.floor())),
        selectors,
        asked: asked.clone(),
        tweaks: call.tweaks,
        injections_seen: state.injections.len(),
        events: 0,
        held: Vec::new(),
    };
    Ok(Answer::Watch(Box::new(watch)))
}

fn write(store: &mut Store, call: &Call<'_>, def: &'static Definition) -> Result<Answer, Failure> {
    let (namespace, name) = place(call.asked);
    // Events of both groups are kept in the core form.
    let (kept, is_new_event) = (Definition::named(def.plural), def.group == "events.k8s.io");
    let to_core = |value: Value| if is_new_event { event::to_core(&value) } else { value };
    let shown = |stored: &Stored| stored.render(def, Form::Full);
    let update = |store: &mut Store, mut value: Value| {
        let old = store.get(def.plural, namespace, name).ok_or_else(|| Failure::not_found(def.plural, name))?;
        pod::keep_other_half(call.asked, &old.value, &mut value);
        Ok(Answer::Json(200, shown(&*store.update(kept, namespace, name, value)?)))
    };
    match call.asked.verb {
        Verb::Create => {
            let mut value = json_body(call.body)?;
            pod::begin(def, &mut value);
            if is_new_event {
                event::validate(&value, namespace)?;
            }
            Ok(Answer::Json(201, shown(&*store.create(kept, namespace, to_core(value), Origin::Client)?)))
        }
        Verb::Update => update(store, to_core(json_body(call.body)?)),
        Verb::Patch => {
            let found = store.get(def.plural, namespace, name).ok_or_else(|| Failure::not_found(def.plural, name))?;
            let mut value = if is_new_event { event::to_new(&found.value) } else { found.value.clone() };
            match call.content_type {
                "application/json-patch+json" => patch::json_patch(&mut value, &json_body(call.body)?)?,
                "application/merge-patch+json" => patch::merge_patch(&mut value, &json_body(call.body)?),
                _ => return Err(Failure::new(415, "UnsupportedMediaType", "415: Unsupported Media Type")),
            }
            update(store, to_core(value))
        }
        Verb::Delete => {
            let options = if call.body.is_empty() { Value::Null } else { json_body(call.body)? };
            let uid = options.pointer("/preconditions/uid").and_then(Value::as_str);
            match store.delete(kept, namespace, name, uid)? {
                Deleted::Terminating(stored) => Ok(Answer::Json(200, shown(&stored))),
                Deleted::Gone(stored) => {
                    let details = json!({"name": name, "kind": def.plural, "uid": text(&stored.value, "/metadata/uid")});
                    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details});
                    Ok(Answer::Json(200, render(&status)))
                }
            }
        }
        Verb::Get | Verb::List | Verb::StreamList | Verb::Watch | Verb::Exec | Verb::Review | Verb::Other => {
            unreachable!("only writes come here")
        }
    }
}

/// Base64 of bytes, as `data` of Secrets and `binaryData` have it.
pub fn encode(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
