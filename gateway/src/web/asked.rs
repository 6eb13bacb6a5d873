//! What a request asks for, as its record has it: the fields of a form or of a JSON object, each cut, and none that is secret.

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, header};
use futures_util::{StreamExt as _, stream};
use hyper::body::Body as _;
use serde_json::{Map, Value};
use url::form_urlencoded;

/// The longest body that is looked into, in octets.
const LONGEST: usize = 64 << 10;
/// The most fields that are recorded.
const FIELDS: usize = 20;
/// Letters of a name.
const NAME: usize = 40;
/// Letters of what is said.
const LETTERS: usize = 200;
/// The field that says how many there were beyond.
const MORE: &str = "…";

/// The fields of a request, by name.
pub(super) type Asked = Map<String, Value>;

/// How fields are said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Form,
    Json,
}

/// What `request` asks for, and the request as it came. `None` where it has neither a form nor an object, or too long a one; a list that
/// is uploaded is never held here, whatever its sender calls it.
pub(super) async fn read(request: Request) -> (Option<Asked>, Request) {
    let is_list = is_upload(request.method(), request.uri().path());
    let Some(said) = said(request.headers()).filter(|_said| !is_list) else {
        return (None, request);
    };
    let (head, body) = request.into_parts();
    let (octets, body) = whole(body).await;
    let asked = octets.and_then(|octets| match said {
        Said::Form => Some(of_form(&octets)),
        Said::Json => of_json(&octets),
    });
    (asked, Request::from_parts(head, body))
}

/// Whether what is sent is a copy of a list: `curl` calls one a form, where nobody says otherwise.
fn is_upload(method: &Method, path: &str) -> bool {
    let is_api = *method == Method::PUT && path.starts_with("/api/v1/lists/");
    is_api || (path.starts_with("/lists/") && path.ends_with("/put/file"))
}

/// How the handlers will read what these headers stand before.
fn said(headers: &HeaderMap) -> Option<Said> {
    let all = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let kind = all.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match kind.strip_prefix("application/")? {
        "x-www-form-urlencoded" => Some(Said::Form),
        kind if kind == "json" || kind.ends_with("+json") => Some(Said::Json),
        _ => None,
    }
}

/// All of a short body, and one that says the same. Of a long one no more is held than is found to be too much.
async fn whole(body: Body) -> (Option<Bytes>, Body) {
    let least = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if least > LONGEST {
        return (None, body);
    }
    let mut held = Vec::with_capacity(least);
    let mut rest = body.into_data_stream();
    while let Some(piece) = rest.next().await {
        match piece {
            Ok(piece) => held.extend_from_slice(&piece),
            // The handler is to find the same fault.
            Err(error) => {
                let all = stream::iter([Ok(Bytes::from(held)), Err(error)]);
                return (None, Body::from_stream(all));
            }
        }
        if held.len() > LONGEST {
            let all = stream::iter([Ok(Bytes::from(held))]).chain(rest);
            return (None, Body::from_stream(all));
        }
    }
    let held = Bytes::from(held);
    (Some(held.clone()), Body::from(held))
}

fn of_form(octets: &[u8]) -> Asked {
    let fields = form_urlencoded::parse(octets);
    bounded(fields.map(|(name, text)| (name.into_owned(), text.into_owned())))
}

fn of_json(octets: &[u8]) -> Option<Asked> {
    let Value::Object(fields) = serde_json::from_slice(octets).ok()? else { return None };
    Some(bounded(fields.into_iter().filter_map(|(name, value)| Some((name, as_text(value)?)))))
}

/// A value as text; `None` where it says nothing.
fn as_text(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            let texts: Vec<_> = items.iter().filter_map(Value::as_str).collect();
            Some(texts.join(", "))
        }
        value => Some(value.to_string()),
    }
}

/// As much of the fields as is recorded. Of two with one name the last counts, as it does for pages.
fn bounded(fields: impl Iterator<Item = (String, String)>) -> Asked {
    let mut asked = Asked::new();
    let mut beyond: usize = 0;
    for (name, text) in fields.filter(|(name, _text)| is_told(name)) {
        let name = cut(&name, NAME);
        // The last place is for how many there were beyond.
        if asked.len() < FIELDS - 1 || asked.contains_key(&name) {
            asked.insert(name, cut(&text, LETTERS).into());
        } else {
            beyond = beyond.saturating_add(1);
        }
    }
    if beyond > 0 {
        asked.insert(MORE.to_owned(), format!("{beyond} more").into());
    }
    asked
}

/// Whether a field may stand in the record. Who asks is known better, and secrets are none there.
fn is_told(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let is_secret = ["password", "secret", "token"].iter().any(|word| name.contains(word));
    !is_secret && name != "csrf" && name != "author"
}

fn cut(text: &str, letters: usize) -> String {
    text.chars().take(letters).collect()
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use serde_json::json;

    use super::*;

    const FORM: &str = "application/x-www-form-urlencoded";
    const JSON: &str = "application/json";

    /// What is asked for, however the body comes, after what the handler gets was found to be what was sent.
    async fn asked(method: Method, path: &str, kind: &str, body: &str) -> Option<Value> {
        let pieces = body.as_bytes().chunks(1000).map(Bytes::copy_from_slice);
        let pieces: Vec<Result<_, axum::Error>> = pieces.map(Ok).collect();
        let mut found = Vec::new();
        for sent in [Body::from(body.to_owned()), Body::from_stream(stream::iter(pieces))] {
            let request = Request::builder().method(method.clone()).uri(path);
            let request = request.header(header::CONTENT_TYPE, kind).body(sent).unwrap();
            let (asked, request) = read(request).await;
            let got = to_bytes(request.into_body(), usize::MAX).await.unwrap();
            assert!(got == body.as_bytes(), "{path} {kind}: another body");
            found.push(asked.map(Value::Object));
        }
        assert_eq!(found[0], found[1], "{path} {kind}");
        found.pop().flatten()
    }

    #[tokio::test]
    async fn forms_and_small_objects_are_told() {
        let long = "ä".repeat(300);
        let cut = "ä".repeat(LETTERS);
        for (kind, body, expected) in [
            (
                FORM,
                "csrf=x&prefix=192.0.2.1%2F32&reason=sends+spam&for=",
                json!({"prefix": "192.0.2.1/32", "reason": "sends spam", "for": ""}),
            ),
            (FORM, "a=1&a=2&author=eve&New-Password=x&token=x", json!({"a": "2"})),
            (FORM, "", json!({})),
            (FORM, "%FF=%FF", json!({"\u{fffd}": "\u{fffd}"})),
            ("Application/X-WWW-Form-Urlencoded; charset=utf-8", "a=b", json!({"a": "b"})),
            (FORM, &format!("entries={long}"), json!({"entries": cut})),
            (
                JSON,
                r#"{"for_s": 60, "author": "eve", "reason": null, "a": true, "b": {"c": [1]}}"#,
                json!({"for_s": "60", "a": "true", "b": "{\"c\":[1]}"}),
            ),
            (JSON, r#"{"to": ["a@b", "c@d"]}"#, json!({"to": "a@b, c@d"})),
            ("application/x+json; charset=utf-8", "{\"a\": 1}", json!({"a": "1"})),
            (JSON, "[60, \"eve\"]", Value::Null),
            (JSON, "{\"a\": ", Value::Null),
            (JSON, "", Value::Null),
            ("application/octet-stream", "a=b", Value::Null),
            ("text/plain", "a=b", Value::Null),
            ("multipart/form-data", "a=b", Value::Null),
            ("\u{e4}", "a=b", Value::Null),
        ] {
            let found = asked(Method::POST, "/x", kind, body).await;
            assert_eq!(found.unwrap_or_default(), expected, "{kind}: {body}");
        }
    }

    #[tokio::test]
    async fn what_is_long_and_what_is_a_list_goes_on_unread() {
        let [fits, long] =
            [LONGEST, LONGEST + 1].map(|length| format!("a={}", "b".repeat(length - 2)));
        for (method, path, body, is_told) in [
            (Method::POST, "/lists/bad/put", &fits, true),
            (Method::POST, "/lists/bad/put", &long, false),
            (Method::POST, "/lists/bad/put/file", &fits, false),
            (Method::PUT, "/api/v1/lists/bad/entries", &fits, false),
            (Method::POST, "/api/v1/lists/bad/entries", &fits, true),
        ] {
            let told = asked(method, path, FORM, body).await;
            assert_eq!(told.is_some(), is_told, "{path} {}", body.len());
        }
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_does_so_for_the_handler() {
        let pieces = [Ok(Bytes::from("a=b")), Err(axum::Error::new("gone"))];
        let request = Request::post("/x").header(header::CONTENT_TYPE, FORM);
        let request = request.body(Body::from_stream(stream::iter(pieces))).unwrap();
        let (asked, request) = read(request).await;
        assert!(asked.is_none());
        assert!(to_bytes(request.into_body(), usize::MAX).await.is_err());
    }

    #[test]
    fn no_more_fields_than_there_is_room_for() {
        let form: Vec<_> = (0..50).map(|number| format!("{number}=x")).collect();
        let asked = of_form(form.join("&").as_bytes());
        assert_eq!((asked.len(), &asked[MORE]), (FIELDS, &json!("31 more")));
        let asked = of_form(format!("{}=x", "n".repeat(99)).as_bytes());
        assert_eq!(asked.keys().next().map(String::len), Some(NAME));
    }
}
