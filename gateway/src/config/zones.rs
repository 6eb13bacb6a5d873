//! The tables `[[zone]]`: what is asked of whom, and what is done about the answers.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use super::action::{Allowed, action, bad_actions, hops};
use super::exempt::read_regular;
use super::lists::Common;
use super::reader::{At, Reader};
use super::tree::Value;
use super::values::{Parsed, Wrong, boolean, choice, label, text, zone_name};
use crate::list::{ListAction, Weight};
use crate::zone::{
    Domain, DomainError, Families, Filter, MOST_ZONES, OnDnsError, Zone, ZoneClass, ended,
};

/// The most octets of a file with a key; the key itself is a part of a name.
const MOST_KEY_FILE: u64 = 4096;

/// Reads all zones; one with a fault is left out.
pub(super) fn zones(readers: Vec<Reader<'_>>, common: &Common<'_>) -> Vec<Arc<Zone>> {
    let mut zones = Vec::new();
    let mut names: Vec<At<String>> = Vec::new();
    for mut reader in readers {
        let name = reader.required("name", "the name of the zone", zone_name);
        let keyed = key(&mut reader, common.folder);
        let name = without_key(&reader, name, keyed.as_ref());
        if let Some(name) = &name {
            reader.only_one(name, &mut names, "zone", MOST_ZONES);
        }
        zones.extend(zone(&mut reader, name, keyed, common).map(Arc::new));
        reader.finish();
    }
    zones
}

/// An access key, with where its file is named.
type Key = Result<Option<At<String>>, Unreadable>;

/// There is a file for a key, and no key.
#[derive(Debug)]
struct Unreadable;

fn zone(
    reader: &mut Reader<'_>,
    name: Option<At<String>>,
    key: Key,
    common: &Common<'_>,
) -> Option<Zone> {
    let domain = domain(reader, name.as_ref(), &key);
    let label = reader.optional("label", label);
    let label = without_key(reader, label, key.as_ref());
    let classes = ZoneClass::ALL.map(|class| (class.name(), class));
    let expected = format!("one of {}", classes.map(|(name, _)| name).join(", "));
    let class = reader.required("class", &expected, choice(&classes));
    let filters = filters(reader);
    let has_own_weights = filters.as_ref().is_some_and(|filters| {
        !filters.is_empty() && filters.iter().all(|filter| filter.value.weight.is_some())
    });
    let is_good = class.as_ref().is_some_and(|class| class.value.is_good());
    let allowed = Allowed {
        class: class.as_ref().map(|class| class.value.name()),
        actions: if is_good {
            vec![ListAction::Accept, ListAction::Score(Weight::default())]
        } else {
            bad_actions()
        },
        score_enabled: common.score_enabled,
        has_own_weights,
    };
    let action = action(reader, &allowed);
    weights_that_add_nothing(reader, action, filters.as_deref().unwrap_or_default());
    let hops = hops(reader);
    let on_dns_error = choice(&[("open", OnDnsError::Open), ("defer", OnDnsError::Defer)]);
    let on_dns_error = reader.or("on_dns_error", OnDnsError::Open, on_dns_error);
    let families = families(reader);
    let test_points = reader.or("test_points", true, boolean);
    let enforce = reader.or("enforce", true, boolean);
    let (name, action) = (name?.value, action?);
    let default = Zone::new(&name, domain?, class?.value, action);
    let filters = filters.map(|all| all.into_iter().map(|filter| filter.value).collect());
    Some(Zone {
        label: label.map_or_else(|| Arc::clone(&default.label), |label| label.value.into()),
        filters: filters.unwrap_or_else(|| default.filters.clone()),
        hops: hops.unwrap_or(default.hops),
        on_dns_error,
        families,
        test_points,
        enforce,
        ..default
    })
}

/// Reads the access key. Not even the name of its file is shown: somebody may have written the key there.
fn key(reader: &mut Reader<'_>, folder: &Path) -> Key {
    if !reader.has("key_file") {
        return Ok(None);
    }
    let file =
        |value: &Value| text(value).map_err(|_shown| Wrong::new("expected a file name in quotes"));
    let at = reader.optional("key_file", file).ok_or(Unreadable)?;
    let path = folder.join(&at.value);
    reader.reads(&path);
    let text = read_regular(&path, MOST_KEY_FILE).map_err(|error| {
        let expected = "a readable file with the access key in its first line";
        reader.wrong_at(&at, Wrong::expected(&error, expected));
        Unreadable
    })?;
    let key = text.lines().next().unwrap_or_default().trim();
    if key.is_empty() {
        let wrong = Wrong::expected(&"an empty first line", "the access key in it");
        reader.wrong_at(&at, wrong);
        return Err(Unreadable);
    }
    if path.metadata().is_ok_and(|file| file.permissions().mode() & 0o007 != 0) {
        let text = "every user of this host may read the access key: chmod o= takes that away";
        reader.notice(at.key, at.place.clone(), text);
    }
    Ok(Some(At { value: key.to_ascii_lowercase(), ..at }))
}

/// What everybody may read must not hold the key.
fn without_key(
    reader: &Reader<'_>,
    text: Option<At<String>>,
    key: Result<&Option<At<String>>, &Unreadable>,
) -> Option<At<String>> {
    let text = text?;
    if let Ok(Some(key)) = key
        && text.value.to_ascii_lowercase().contains(&key.value)
    {
        let found = "a text that holds the access key";
        let wrong = Wrong::expected(&found, "one without it, since it is shown");
        reader.wrong_at(&text, wrong);
        return None;
    }
    Some(text)
}

fn domain(reader: &mut Reader<'_>, name: Option<&At<String>>, key: &Key) -> Option<Domain> {
    let is_named = reader.has("domain");
    let written = reader.optional("domain", text);
    let written = without_key(reader, written, key.as_ref());
    // Where there is no right domain written, the name is not meant to be one.
    let domain = if is_named { written } else { name.cloned() }?;
    let key = key.as_ref().ok()?.as_ref();
    let read = Domain::new(&domain.value, key.map(|key| key.value.as_str()));
    match (read, key) {
        (Ok(read), _) => {
            if let Some(what) = ended(read.public()) {
                let text = format!("{}: {what}", read.public());
                reader.notice(domain.key, domain.place, text);
            }
            Some(read)
        }
        (Err(error @ (DomainError::Key | DomainError::Long { .. })), Some(key)) => {
            reader.wrong_at(key, Wrong::new(error));
            None
        }
        (Err(error), _) => {
            reader.wrong_at(&domain, Wrong::new(error));
            None
        }
    }
}

fn filters(reader: &mut Reader<'_>) -> Option<Vec<At<Filter>>> {
    let filter = |value: &Value| -> Parsed<Filter> { text(value)?.parse().map_err(Wrong::new) };
    if reader.has("match") && reader.are_empty(&["match"]) {
        reader.missing("match", "at least one pattern");
    }
    reader.each("match", filter)
}

/// A weight of a pattern says nothing where there is no score.
fn weights_that_add_nothing(
    reader: &Reader<'_>,
    action: Option<ListAction>,
    filters: &[At<Filter>],
) {
    let Some(action) = action.filter(|action| !matches!(action, ListAction::Score(_))) else {
        return;
    };
    for filter in filters.iter().filter(|filter| filter.value.weight.is_some()) {
        let found = format!("\"{}\" with action {:?}", filter.value, action.name());
        let wrong = Wrong::expected(&found, "a weight with action \"score\" only");
        reader.wrong_at(filter, wrong);
    }
}

fn families(reader: &mut Reader<'_>) -> Families {
    if reader.has("families") && reader.are_empty(&["families"]) {
        reader.missing("families", "ipv4, ipv6 or both");
    }
    let family = choice(&[("ipv4", false), ("ipv6", true)]);
    match reader.each("families", family) {
        None => Families::default(),
        Some(all) => Families {
            ipv4: all.iter().any(|family| !family.value),
            ipv6: all.iter().any(|family| family.value),
        },
    }
}
