//! What a request asks for: resource, verb, parameters and selectors.

use serde_json::Value;

use super::object::{Definition, Form, RESOURCES, text};

/// The kinds of request that tests count and faults hit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verb {
    /// One object.
    Get,
    /// A list, or a page of one.
    List,
    /// A watch that begins with the list: `sendInitialEvents=true`.
    StreamList,
    /// Any other watch.
    Watch,
    /// POST of an object.
    Create,
    /// PUT.
    Update,
    /// PATCH of any kind.
    Patch,
    /// DELETE.
    Delete,
    /// GET of `pods/NAME/exec`, which changes the protocol.
    Exec,
    /// A SelfSubjectAccessReview.
    Review,
    /// `/version`, `/readyz` and everything unknown.
    Other,
}

impl Verb {
    /// The verb in RBAC rules.
    pub fn in_rbac(self) -> &'static str {
        match self {
            Self::Get | Self::Exec => "get",
            Self::List => "list",
            Self::StreamList | Self::Watch => "watch",
            Self::Create | Self::Review | Self::Other => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }
}

/// A request as far as it was understood.
#[derive(Clone)]
pub struct Asked {
    /// What is to be done.
    pub verb: Verb,
    /// The resource, if it is one that we know.
    pub definition: Option<&'static Definition>,
    /// Namespace, unless the whole cluster is meant.
    pub namespace: Option<String>,
    /// Object, if one is named.
    pub name: Option<String>,
    /// `status` or `exec`, if a part of the object is meant.
    pub subresource: Option<&'static str>,
    /// Query parameters, decoded, in the request's order.
    pub parameters: Vec<(String, String)>,
    /// Number of the page of a list, from 1.
    pub page: usize,
}

impl Asked {
    /// Reads method, path and query.
    pub fn parse(method: &str, path: &str, query: &str) -> Self {
        let parameters: Vec<_> = query.split('&').filter(|part| !part.is_empty()).map(pair).collect();
        let mut asked = Self { verb: Verb::Other, definition: None, namespace: None, name: None, subresource: None, parameters, page: 1 };
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        if path == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews" && method == "POST" {
            asked.verb = Verb::Review;
            return asked;
        }
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return asked,
        };
        let (namespace, plural, name) = match rest {
            ["namespaces", namespace, plural] => (Some(*namespace), *plural, None),
            ["namespaces", namespace, plural, name] => (Some(*namespace), *plural, Some(*name)),
            ["namespaces", namespace, plural @ "pods", name, part @ ("status" | "exec")] => {
                asked.subresource = Some(if *part == "exec" { "exec" } else { "status" });
                (Some(*namespace), *plural, Some(*name))
            }
            [plural] => (None, *plural, None),
            [plural, name] => (None, *plural, Some(*name)),
            _ => return asked,
        };
        let known = |def: &&Definition| def.group == group && def.version == version && def.plural == plural;
        asked.definition = RESOURCES.iter().find(known);
        asked.namespace = namespace.map(decode);
        asked.name = name.map(decode);
        asked.page = Token::parse(asked.parameter("continue")).map_or(1, |token| token.page);
        asked.verb = asked.verb_of(method);
        asked
    }

    fn verb_of(&self, method: &str) -> Verb {
        let true_ = |name: &str| ["true", "1"].contains(&self.parameter(name));
        match (self.definition, method, &self.name) {
            (None, ..) => Verb::Other,
            (_, "GET", Some(_)) if self.subresource == Some("exec") => Verb::Exec,
            (_, "GET", Some(_)) => Verb::Get,
            (_, "GET", None) if !true_("watch") => Verb::List,
            (_, "GET", None) if true_("sendInitialEvents") => Verb::StreamList,
            (_, "GET", None) => Verb::Watch,
            (_, "POST", None) => Verb::Create,
            (_, "PUT", Some(_)) => Verb::Update,
            (_, "PATCH", Some(_)) => Verb::Patch,
            (_, "DELETE", Some(_)) => Verb::Delete,
            _ => Verb::Other,
        }
    }

    /// A query parameter, or nothing.
    pub fn parameter(&self, name: &str) -> &str {
        self.parameters.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The plural name of the resource, or nothing.
    pub fn plural(&self) -> &'static str {
        self.definition.map_or("", |def| def.plural)
    }

    /// The resource as RBAC rules name it: `pods`, `pods/exec`.
    pub fn resource(&self) -> String {
        self.subresource.map_or_else(|| self.plural().to_owned(), |part| format!("{}/{part}", self.plural()))
    }
}

fn pair(part: &str) -> (String, String) {
    let (name, value) = part.split_once('=').unwrap_or((part, ""));
    (decode(name), decode(value))
}

/// Undoes percent encoding.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (byte, escaped) {
            (b'%', Some(plain)) => {
                out.push(plain);
                at += 2;
            }
            (b'+', _) => out.push(b' '),
            _ => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Form of the answer that the `Accept` header asks for.
pub fn form(accept: &str) -> Form {
    if accept.contains("as=PartialObjectMetadata") { Form::Metadata } else { Form::Full }
}

/// A continue token: where the next page starts, and of which snapshot.
pub struct Token {
    /// resourceVersion of the first page; none goes on without consistency.
    pub version: Option<u64>,
    /// Namespace and name after which the page starts.
    pub after: (String, String),
    /// Number of the page that the token asks for.
    pub page: usize,
}

impl Token {
    /// Reads a token.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("v1.")?.split('.').map(unhex);
        let number = parts.next()??;
        let version = number.parse().ok();
        let page = parts.next()??.parse().ok()?;
        Some(Self { version, page, after: (parts.next()??, parts.next()??) })
    }

    /// The opaque text.
    pub fn encode(&self) -> String {
        let version = self.version.map_or_else(|| "-1".to_owned(), |version| version.to_string());
        let parts = [version.as_str(), &self.page.to_string(), &self.after.0, &self.after.1].map(hex);
        format!("v1.{}", parts.join("."))
    }
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(text: impl AsRef<[u8]>) -> String {
    text.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<String> {
    let digits: Vec<_> = text.as_bytes().chunks(2).collect();
    let bytes: Option<Vec<u8>> = digits.into_iter().map(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok()).collect();
    String::from_utf8(bytes?).ok()
}

/// Label and field selectors of one request.
#[derive(Clone, Default)]
pub struct Selectors {
    labels: Vec<Requirement>,
    fields: Vec<(String, String)>,
}

#[derive(Clone)]
enum Requirement {
    Exists(String),
    Missing(String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
}

impl Selectors {
    /// Reads `labelSelector` and `fieldSelector`.
    pub fn parse(asked: &Asked) -> Result<Self, String> {
        let parts = |name: &str| asked.parameter(name).split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        let labels = outside_of_sets(asked.parameter("labelSelector")).into_iter().map(requirement).collect::<Result<_, _>>()?;
        let fields = parts("fieldSelector").iter().map(|part| field(part, asked.plural())).collect::<Result<_, _>>()?;
        Ok(Self { labels, fields })
    }

    /// Whether nothing is selected away.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether an object is selected.
    pub fn matches(&self, object: &Value) -> bool {
        let label = |key: &str| object["metadata"]["labels"].get(key).and_then(Value::as_str);
        let labels = self.labels.iter().all(|requirement| match requirement {
            Requirement::Exists(key) => label(key).is_some(),
            Requirement::Missing(key) => label(key).is_none(),
            Requirement::In(key, values) => label(key).is_some_and(|value| values.iter().any(|one| one == value)),
            Requirement::NotIn(key, values) => label(key).is_none_or(|value| values.iter().all(|one| one != value)),
        });
        labels && self.fields.iter().all(|(pointer, value)| text(object, pointer) == value)
    }
}

/// Splits at commas, but not at those of `a in (1,2)`.
fn outside_of_sets(selector: &str) -> Vec<&str> {
    let mut depth = 0;
    let parts = selector.split(|c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    });
    parts.filter(|part| !part.is_empty()).collect()
}

fn requirement(part: &str) -> Result<Requirement, String> {
    let part = part.trim();
    let one = |value: &str| vec![value.to_owned()];
    let set =
        |text: &str| text.trim().trim_start_matches('(').trim_end_matches(')').split(',').map(|value| value.trim().to_owned()).collect();
    let parsed = if let Some((key, values)) = part.split_once(" notin ") {
        Requirement::NotIn(key.to_owned(), set(values))
    } else if let Some((key, values)) = part.split_once(" in ") {
        Requirement::In(key.to_owned(), set(values))
    } else if let Some((key, value)) = part.split_once("!=") {
        Requirement::NotIn(key.to_owned(), one(value))
    } else if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        Requirement::In(key.to_owned(), one(value))
    } else if let Some(key) = part.strip_prefix('!') {
        Requirement::Missing(key.to_owned())
    } else {
        Requirement::Exists(part.to_owned())
    };
    let (Requirement::Exists(key) | Requirement::Missing(key) | Requirement::In(key, _) | Requirement::NotIn(key, _)) = &parsed;
    let fine = |c: char| c.is_ascii_alphanumeric() || "-._/".contains(c);
    if key.is_empty() || !key.chars().all(fine) {
        return Err(format!("found '{part}', expected: !, identifier, or 'end of string'"));
    }
    Ok(parsed)
}

fn field(part: &str, plural: &str) -> Result<(String, String), String> {
    let (path, value) = part.split_once("==").or_else(|| part.split_once('=')).ok_or_else(|| format!("invalid selector: '{part}'"))?;
    let of_kind = [("status.phase", "pods"), ("type", "secrets")].contains(&(path, plural));
    if !["metadata.name", "metadata.namespace"].contains(&path) && plural != "events" && !of_kind {
        return Err(format!("\"{path}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""));
    }
    let path = path.replace("regarding.", "involvedObject.").replace("reportingController", "reportingComponent");
    Ok((format!("/{}", path.replace('.', "/")), value.to_owned()))
}
