//! Manifests as text: turns YAML or JSON into objects, or says what is wrong with it.
//!
//! Pure: reads no file and never prints a value. A document is taken whole or not at all, because half of a manifest is worse
//! than yesterday's: the caller keeps the last good objects of a text of which a document is broken.
//!
//! What the API server would refuse is an error here too: a number as a value, bad base64, a key that no volume could hold.
//! Texts follow YAML 1.1 as `kubectl` does (an unquoted `yes` is a boolean); line breaks in scalars are normalised by YAML's
//! own rule, so a CRLF survives only as an escape in double quotes.
//!
//! ```
//! use kube_projector::core::object::{Kind, Namespaces};
//! use kube_projector::core::object::selector::Selector;
//! use kube_projector::source::manifests::yaml::{self, ManifestRules};
//!
//! let rules = ManifestRules {
//!     selector: Some(Selector::label("rules", None)),
//!     objects: Vec::new(),
//!     kinds: Kind::ALL.to_vec(),
//!     namespaces: Namespaces::All,
//!     folder_annotation: "folder".into(),
//! };
//! let text = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {rules: x}}\ndata: {k: v}\n";
//! let parsed = yaml::parse(text, &rules);
//! assert!(parsed.refused.is_empty() && parsed.found.iter().all(|labelled| rules.selects(labelled)));
//! ```

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use crate::core::names::{is_dns_label, is_dns_subdomain};
use crate::core::object::annotations::{self, Annotations};
use crate::core::object::selector::Selector;
use crate::core::object::{Datum, Kind, Namespaces, Object, ObjectKey};
use crate::core::path::check_key;
use crate::yaml;

mod nearly;

/// Which objects of the manifests are wanted, and what is read from them.
#[derive(Clone, Debug)]
pub struct ManifestRules {
    /// The label that an object must carry; none: only [`Self::objects`] are wanted.
    pub selector: Option<Selector>,
    /// Objects that are wanted whatever their labels.
    pub objects: Vec<ObjectKey>,
    /// The kinds of labelled objects; documents of kinds of which nothing is wanted are passed over.
    pub kinds: Vec<Kind>,
    /// The namespaces whose labelled objects are wanted.
    pub namespaces: Namespaces,
    /// The annotation that names an object's folder.
    pub folder_annotation: String,
}

impl ManifestRules {
    /// Whether this object is wanted.
    pub fn selects(&self, labelled: &Labelled) -> bool {
        let key = &labelled.object.key;
        let is_within = self.kinds.contains(&key.kind) && self.namespaces.contains(&key.namespace);
        self.objects.contains(key) || (is_within && self.selector.as_ref().is_some_and(|selector| selector.selects(&labelled.labels)))
    }

    /// Whether anything of this kind may be wanted.
    fn reads(&self, kind: Kind) -> bool {
        self.kinds.contains(&kind) || self.objects.iter().any(|key| key.kind == kind)
    }
}

/// An object and what it says under the labels of the selector.
pub struct Labelled {
    /// The object, without uid, version and age: manifests have none.
    pub(crate) object: Object,
    /// The selector's labels that the object carries.
    pub(crate) labels: BTreeMap<String, String>,
}

/// What a text holds.
pub struct Parsed {
    /// Its ConfigMaps and Secrets, in their order.
    pub found: Vec<Labelled>,
    /// For each document that is not taken, why.
    pub refused: Vec<YamlError>,
    /// What is passed over although it looks as if one of ours was meant.
    pub(crate) nearly: Vec<YamlError>,
    /// How many documents there are, without empty ones.
    pub(crate) documents: usize,
}

/// Why a document is not taken. Names the place and what was expected there, never what was found.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct YamlError(String);

/// Where in a text: document, item of a list, object, field, in words.
#[derive(Clone)]
struct TextPlace(String);

impl TextPlace {
    fn field(&self, field: impl fmt::Display) -> Self {
        Self(format!("{}, {field}", self.0))
    }

    fn key(&self, field: &str, key: &str) -> Self {
        // A key may be a mistyped line: enough of it to find the place, and no more.
        self.field(format_args!("{field}, key {:?}", key.chars().take(64).collect::<String>()))
    }

    fn expected(&self, expected: &str) -> YamlError {
        YamlError(format!("{}: expected {expected}", self.0))
    }
}

/// The ConfigMaps and Secrets of `text`, in its order: several documents, `List`, and JSON.
///
/// Documents that are no manifests (neither `apiVersion` nor `kind`) and other kinds are passed over. Objects are returned
/// whether or not the selector wants them. A document with anything wrong in it gives none, and stops no other.
pub fn parse(text: &[u8], rules: &ManifestRules) -> Parsed {
    let mut parsed = Parsed { found: Vec::new(), refused: Vec::new(), nearly: Vec::new(), documents: 0 };
    for (document, yaml::Document { line, node }) in (1..).zip(yaml::documents(text)) {
        parsed.documents += 1;
        let place = TextPlace(format!("document {document} (line {line})"));
        let before = (parsed.found.len(), parsed.nearly.len());
        let taken = node
            .map_err(|yaml::Flaw { line, column, expected }| {
                YamlError(format!("document {document} (line {line}, column {column}): {expected}"))
            })
            .and_then(|node| manifest(node, None, &place, rules, &mut parsed));
        if let Err(error) = taken {
            parsed.found.truncate(before.0);
            parsed.nearly.truncate(before.1);
            parsed.refused.push(error);
        }
    }
    parsed
}

/// Reads one manifest; `implied` is the kind that a typed list gives to items that name none.
fn manifest(node: Value, implied: Option<Kind>, place: &TextPlace, rules: &ManifestRules, parsed: &mut Parsed) -> Result<(), YamlError> {
    let mut fields = match node {
        Value::Object(fields) => Mapping(fields),
        Value::Null => return Ok(()),
        Value::Array(items) => {
            parsed.nearly.extend(nearly::sequence(&items).map(|expected| place.expected(expected)));
            return Ok(());
        }
        // A text cut short in its first line is a lone scalar.
        Value::Bool(_) | Value::Number(_) | Value::String(_) => return Err(place.expected("a manifest")),
    };
    let version = fields.text("apiVersion", &place.field("apiVersion"))?;
    let kind = fields.text("kind", &place.field("kind"))?;
    let (version, kind) = match (version, kind, implied) {
        (None, None, Some(kind)) => ("v1".to_owned(), kind.as_str().to_owned()),
        (None, None, None) => return Ok(()),
        (None, Some(_), _) => return Err(place.field("apiVersion").expected("a version, such as v1")),
        (Some(_), None, _) => return Err(place.field("kind").expected("a kind")),
        (Some(version), Some(kind), _) => (version, kind),
    };
    let reads = |kind| rules.reads(kind);
    if version != "v1" {
        parsed.nearly.extend(nearly::version(&version, &kind, reads).map(|expected| place.field("apiVersion").expected(expected)));
        return Ok(());
    }
    if let Some(kind) = Kind::from_name(&kind) {
        if rules.reads(kind) {
            parsed.found.push(object(kind, fields, place, rules)?);
        }
        return Ok(());
    }
    let implied = Kind::ALL.into_iter().find(|item| kind.strip_suffix("List") == Some(item.as_str()));
    if implied.is_some() || kind == "List" {
        return list(fields, implied, place, rules, parsed);
    }
    parsed.nearly.extend(nearly::kind(&kind, reads).map(|expected| place.field("kind").expected(expected)));
    Ok(())
}

fn list(
    mut fields: Mapping,
    implied: Option<Kind>,
    place: &TextPlace,
    rules: &ManifestRules,
    parsed: &mut Parsed,
) -> Result<(), YamlError> {
    let items = match fields.0.remove("items") {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Array(items)) => items,
        Some(_) => return Err(place.field("items").expected("a sequence of manifests")),
    };
    for (number, item) in (1..).zip(items) {
        manifest(item, implied, &place.field(format_args!("item {number}")), rules, parsed)?;
    }
    Ok(())
}

fn object(kind: Kind, mut fields: Mapping, place: &TextPlace, rules: &ManifestRules) -> Result<Labelled, YamlError> {
    let mut metadata = fields.mapping("metadata", place)?;
    let named = place.field("metadata.name");
    let name = metadata.text("name", &named)?.ok_or_else(|| named.expected("a name"))?;
    if !is_dns_subdomain(&name) {
        return Err(named.expected("a name of lower case letters, digits, - and ., at most 253"));
    }
    let spaced = place.field("metadata.namespace");
    let namespace = metadata.text("namespace", &spaced)?.filter(|namespace| !namespace.is_empty()).unwrap_or_else(|| "default".to_owned());
    if !is_dns_label(&namespace) {
        return Err(spaced.expected("a namespace of lower case letters, digits and -, at most 63"));
    }
    let key = ObjectKey::new(kind, namespace, name);
    let place = &place.field(&key);
    let mut labelled = metadata.mapping("labels", place)?;
    let mut labels = BTreeMap::new();
    for key in rules.selector.iter().flat_map(Selector::keys) {
        let value = labelled.text(key, &place.key("metadata.labels", key))?;
        labels.extend(value.map(|value| (key.to_owned(), value)));
    }
    let folder_place = place.key("metadata.annotations", &rules.folder_annotation);
    let mut annotated = metadata.mapping("annotations", place)?;
    let folder = annotated.text(&rules.folder_annotation, &folder_place)?;
    let mut annotations = Annotations::default();
    for name in annotations::ALL {
        let value = annotated.text(name, &place.key("metadata.annotations", name))?;
        value.iter().for_each(|value| annotations.note(name, value));
    }
    let data = match kind {
        Kind::ConfigMap => config_map_data(&mut fields, place)?,
        Kind::Secret => secret_data(&mut fields, place)?,
        // None is projected, so that no manifest is read as one.
        Kind::Pod => Data::new(),
    };
    Ok(Labelled { object: Object { folder, annotations, ..Object::new(key, data) }, labels })
}

type Data = Vec<Datum>;

fn config_map_data(fields: &mut Mapping, place: &TextPlace) -> Result<Data, YamlError> {
    let mut data = values(fields, "data", place, as_text)?;
    let binary = values(fields, "binaryData", place, as_base64)?;
    let texts: HashSet<&str> = data.iter().map(|datum| datum.key.as_str()).collect();
    if let Some(Datum { key, .. }) = binary.iter().find(|datum| texts.contains(datum.key.as_str())) {
        return Err(place.key("binaryData", key).expected("a key that data does not hold"));
    }
    data.extend(binary.into_iter().map(encoded));
    Ok(data)
}

/// `stringData` wins over `data`, as on the API server; what it hides must be valid all the same.
fn secret_data(fields: &mut Mapping, place: &TextPlace) -> Result<Data, YamlError> {
    let mut data = values(fields, "data", place, as_base64)?;
    let texts = values(fields, "stringData", place, as_text)?;
    let hidden: HashSet<&str> = texts.iter().map(|datum| datum.key.as_str()).collect();
    data.retain(|datum| !hidden.contains(datum.key.as_str()));
    data.extend(texts);
    Ok(data.into_iter().map(encoded).collect())
}

/// A value that the API would carry in base64.
fn encoded(datum: Datum) -> Datum {
    Datum { encoded: true, ..datum }
}

/// Decodes one value; the error says what was expected.
type Decode = fn(Value) -> Result<Vec<u8>, &'static str>;

fn values(fields: &mut Mapping, field: &'static str, place: &TextPlace, decode: Decode) -> Result<Data, YamlError> {
    let mut values = Vec::new();
    for (key, node) in fields.mapping(field, place)?.0 {
        if check_key(&key).is_err() {
            let expected = "letters, digits, -, _ and ., at most 253, not beginning with .., and not . alone";
            return Err(place.key(field, &key).expected(expected));
        }
        match decode(node) {
            Ok(bytes) => values.push(Datum::text(key, bytes)),
            Err(expected) => return Err(place.key(field, &key).expected(expected)),
        }
    }
    Ok(values)
}

/// A null is the empty value, as for the API server.
fn as_text(node: Value) -> Result<Vec<u8>, &'static str> {
    match node {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => Ok(text.into_bytes()),
        Value::Bool(_) => Err("a string, found a boolean: put it in quotes"),
        Value::Number(_) => Err("a string, found a number: put it in quotes"),
        Value::Array(_) => Err("a string, found a sequence"),
        Value::Object(_) => Err("a string, found a mapping"),
    }
}

/// The API server passes over line breaks in base64 and takes any trailing bits.
fn as_base64(node: Value) -> Result<Vec<u8>, &'static str> {
    const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));
    let mut text = as_text(node)?;
    text.retain(|byte| !matches!(byte, b'\r' | b'\n'));
    BASE64.decode(text).map_err(|_| "standard base64 with padding")
}

/// The fields of a mapping, taken one by one.
struct Mapping(Map<String, Value>);

impl Mapping {
    fn text(&mut self, name: &str, place: &TextPlace) -> Result<Option<String>, YamlError> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(place.expected("a string; numbers and booleans need quotes")),
        }
    }

    /// A missing mapping is an empty one.
    fn mapping(&mut self, name: &'static str, place: &TextPlace) -> Result<Self, YamlError> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(Self(Map::new())),
            Some(Value::Object(fields)) => Ok(Self(fields)),
            Some(_) => Err(place.field(name).expected("a mapping")),
        }
    }
}

#[cfg(test)]
mod tests;
