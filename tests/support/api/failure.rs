//! Refusals, as the `Status` objects and with the words of the real server.

use serde_json::{Value, json};

use super::object::Definition;

/// A request that is refused.
#[derive(Clone, Debug)]
pub struct Failure {
    /// HTTP status.
    pub code: u16,
    /// Members of the `Status` object beyond the constant ones.
    status: Value,
}

impl Failure {
    /// A refusal with a reason and a message.
    pub fn new(code: u16, reason: &str, message: &str) -> Self {
        Self { code, status: json!({"metadata": {}, "reason": reason, "message": message}) }
    }

    fn with_details(mut self, details: Value) -> Self {
        self.status["details"] = details;
        self
    }

    /// 404 for one object.
    pub fn not_found(plural: &str, name: &str) -> Self {
        Self::new(404, "NotFound", &format!("{plural} \"{name}\" not found")).with_details(json!({"name": name, "kind": plural}))
    }

    /// 409 on create.
    pub fn already_exists(plural: &str, name: &str) -> Self {
        Self::new(409, "AlreadyExists", &format!("{plural} \"{name}\" already exists")).with_details(json!({"name": name, "kind": plural}))
    }

    /// 409 for a stale resourceVersion.
    pub fn conflict(plural: &str, name: &str) -> Self {
        let rule = "the object has been modified; please apply your changes to the latest version and try again";
        let message = format!("Operation cannot be fulfilled on {plural} \"{name}\": {rule}");
        Self::new(409, "Conflict", &message).with_details(json!({"name": name, "kind": plural}))
    }

    /// 409 for a precondition on the uid.
    pub fn wrong_uid(kind: &str, name: &str, asked: &str, found: &str) -> Self {
        let rule = format!("the UID in the precondition ({asked}) does not match the UID in record ({found})");
        let message =
            format!("Operation cannot be fulfilled on {kind} \"{name}\": {rule}. The object might have been deleted and then recreated");
        Self::new(409, "Conflict", &message).with_details(json!({"name": name, "kind": kind}))
    }

    /// 422 for one field.
    pub fn invalid(kind: &str, name: &str, field: &str, reason: &str, message: &str) -> Self {
        let causes = json!([{"reason": reason, "message": message, "field": field}]);
        Self::new(422, "Invalid", &format!("{kind} \"{name}\" is invalid: {field}: {message}"))
            .with_details(json!({"name": name, "kind": kind, "causes": causes}))
    }

    /// 422 for a JSON patch that does not apply, among them a failed `test`.
    pub fn patch_rejected() -> Self {
        Self::new(422, "Invalid", "the server rejected our request due to an error in our request").with_details(json!({}))
    }

    /// 422 for list options.
    pub fn list_options(field: &str, message: &str) -> Self {
        let causes = json!([{"reason": "FieldValueForbidden", "message": message, "field": field}]);
        Self::new(422, "Invalid", &format!("ListOptions.meta.k8s.io \"\" is invalid: {field}: {message}"))
            .with_details(json!({"group": "meta.k8s.io", "kind": "ListOptions", "causes": causes}))
    }

    /// 400.
    pub fn bad_request(message: &str) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 401.
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// 403 by RBAC.
    pub fn forbidden(user: &str, verb: &str, def: &Definition, resource: &str, namespace: Option<&str>, name: Option<&str>) -> Self {
        let place = namespace.map_or_else(|| "at the cluster scope".to_owned(), |namespace| format!("in the namespace \"{namespace}\""));
        let object = name.map_or_else(|| def.plural.to_owned(), |name| format!("{} \"{name}\"", def.plural));
        let group = def.group;
        let message =
            format!("{object} is forbidden: User \"{user}\" cannot {verb} resource \"{resource}\" in API group \"{group}\" {place}");
        let mut details = json!({"kind": def.plural});
        if let Some(name) = name {
            details["name"] = name.into();
        }
        if !group.is_empty() {
            details["group"] = group.into();
        }
        Self::new(403, "Forbidden", &message).with_details(details)
    }

    /// 403 in a namespace that is being deleted.
    pub fn namespace_terminating(plural: &str, name: &str, namespace: &str) -> Self {
        let message = format!(
            "{plural} \"{name}\" is forbidden: unable to create new content in namespace {namespace} because it is being terminated"
        );
        let causes = json!([{
            "reason": "NamespaceTerminating", "message": format!("namespace {namespace} is being terminated"), "field": "metadata.namespace",
        }]);
        Self::new(403, "Forbidden", &message).with_details(json!({"name": name, "kind": plural, "causes": causes}))
    }

    /// 410 for a resourceVersion that was compacted.
    pub fn expired(asked: u64, floor: u64) -> Self {
        Self::new(410, "Expired", &format!("too old resource version: {asked} ({floor})"))
    }

    /// 410 for a continue token that was compacted; `token` goes on without consistency.
    pub fn continue_expired(token: &str) -> Self {
        let message = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the \
                       continue parameter, or use the continue token in this response to retrieve the remainder of the results.";
        let mut failure = Self::new(410, "Expired", message);
        failure.status["metadata"]["continue"] = token.into();
        failure
    }

    /// 504 for a resourceVersion from the future.
    pub fn too_large(asked: u64, current: u64) -> Self {
        let causes = json!([{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]);
        Self::new(504, "Timeout", &format!("Timeout: Too large resource version: {asked}, current: {current}"))
            .with_details(json!({"causes": causes, "retryAfterSeconds": 1}))
    }

    /// A refusal known by its HTTP code alone.
    pub fn from_code(code: u16) -> Self {
        let (reason, message) = match code {
            401 => ("Unauthorized", "Unauthorized"),
            403 => ("Forbidden", "forbidden"),
            404 => ("NotFound", "the server could not find the requested resource"),
            409 => ("Conflict", "the server reported a conflict"),
            410 => ("Expired", "The resourceVersion for the provided watch is too old."),
            422 => ("Invalid", "the server rejected our request due to an error in our request"),
            429 => ("TooManyRequests", "too many requests, please try again later"),
            500 => ("InternalError", "Internal error occurred: etcdserver: request timed out"),
            503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
            504 => ("Timeout", "Timeout: request did not complete within the allotted duration"),
            _ => ("", "scripted fault"),
        };
        Self::new(code, reason, message)
    }

    /// The `Status` object.
    pub fn body(&self) -> Value {
        let mut body = self.status.clone();
        body["kind"] = "Status".into();
        body["apiVersion"] = "v1".into();
        body["status"] = "Failure".into();
        body["code"] = self.code.into();
        body
    }
}
