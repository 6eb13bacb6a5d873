//! Compares answers of the API with what its OpenAPI document says of them, field by field.
#![expect(clippy::indexing_slicing, clippy::panic, reason = "it fails the test that uses it")]

use serde_json::{Map, Value};

/// The document.
#[derive(Debug)]
pub(crate) struct Document(Value);

impl Document {
    pub(crate) fn new(document: Value) -> Self {
        Self(document)
    }

    /// Each path that a GET answers with JSON, in order.
    pub(crate) fn paths_of_json(&self) -> Vec<&str> {
        let paths = self.0["paths"].as_object().unwrap().keys();
        paths.map(String::as_str).filter(|path| self.answer(path).is_some()).collect()
    }

    /// What the document says of the answer to a GET.
    fn answer(&self, path: &str) -> Option<&Value> {
        let content = &self.0["paths"][path]["get"]["responses"]["200"]["content"];
        content.get("application/json").map(|content| &content["schema"])
    }

    /// Fails where the answer to a GET of `path` is not as the document says: a field without a word, or a word without a field.
    pub(crate) fn check(&self, path: &str, answer: &Value) {
        self.compare(self.answer(path).unwrap(), answer, path);
    }

    /// The same for what is a fault.
    pub(crate) fn check_fault(&self, fault: &Value) {
        self.compare(&self.0["components"]["schemas"]["Fault"], fault, "fault");
    }

    fn followed<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let to = schema["$ref"].as_str();
        to.map_or(schema, |to| self.0.pointer(to.trim_start_matches('#')).unwrap())
    }

    fn compare(&self, schema: &Value, found: &Value, at: &str) {
        let schema = self.followed(schema);
        if let Some(ways) = schema["oneOf"].as_array() {
            let is_null = |way: &&Value| way["type"] == "null";
            if found.is_null() {
                assert!(ways.iter().any(|way| is_null(&way)), "{at}: null");
            } else {
                self.compare(ways.iter().find(|way| !is_null(way)).unwrap(), found, at);
            }
            return;
        }
        let (mut fields, mut required) = (Map::new(), Vec::new());
        self.gather(schema, &mut fields, &mut required);
        if fields.is_empty() {
            return self.compare_plain(schema, found, at);
        }
        let found = found.as_object().unwrap_or_else(|| panic!("{at}: no object: {found:#}"));
        for (name, value) in found {
            let known = fields.get(name);
            self.compare(
                known.unwrap_or_else(|| panic!("{at}: {name} is not in the document")),
                value,
                &format!("{at} {name}"),
            );
        }
        for name in required {
            assert!(found.contains_key(&name), "{at}: {name} is in the document alone");
        }
    }

    /// All fields of an object, with those of what is flattened into it.
    fn gather(&self, schema: &Value, fields: &mut Map<String, Value>, required: &mut Vec<String>) {
        let schema = self.followed(schema);
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.gather(part, fields, required);
        }
        fields.extend(schema["properties"].as_object().cloned().unwrap_or_default());
        let names = schema["required"].as_array().into_iter().flatten();
        required.extend(names.map(|name| name.as_str().unwrap().to_owned()));
    }

    fn compare_plain(&self, schema: &Value, found: &Value, at: &str) {
        let kinds = match &schema["type"] {
            Value::Null => return,
            Value::Array(kinds) => kinds.clone(),
            kind => vec![kind.clone()],
        };
        let kind = match found {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let is_number = |wanted: &Value| wanted == "number" && kind == "integer";
        assert!(kinds.iter().any(|it| it == kind || is_number(it)), "{at}: {kind}, not {kinds:?}");
        for (index, item) in found.as_array().into_iter().flatten().enumerate() {
            self.compare(&schema["items"], item, &format!("{at} {index}"));
        }
        for (name, value) in found.as_object().into_iter().flatten() {
            self.compare(&schema["additionalProperties"], value, &format!("{at} {name}"));
        }
    }
}
