//! The tables `[[list]]`: which class may do what, where, and in the kernel.

use std::path::Path;
use std::sync::Arc;

use gateway_ebpf::abi::{KernelAction, MAX_LISTS};

use super::download::{download, guard};
use super::reader::{At, Reader};
use super::tree::Value;
use super::values::{Parsed, Wrong, boolean, choice, integer, label, list_name, text};
use crate::list::{Class, Format, HopScope, List, ListAction, Source, Weight};

/// What holds for all lists.
#[derive(Debug)]
pub(super) struct Common<'a> {
    /// Relative files are relative to this folder.
    pub(super) folder: &'a Path,
    /// False: nothing is enforced, so that the kernel only counts.
    pub(super) enforce: bool,
    /// What the kernel does for a `reject` list that says nothing about it.
    pub(super) kernel: KernelAction,
    /// Whether there is a score to which a list can add.
    pub(super) score_enabled: bool,
}

/// Reads all lists; one with a fault is left out.
pub(super) fn lists(readers: Vec<Reader<'_>>, common: &Common<'_>) -> Vec<Arc<List>> {
    let mut lists: Vec<Arc<List>> = Vec::new();
    let mut names: Vec<At<String>> = Vec::new();
    for mut reader in readers {
        let name = reader.required("name", "the name of the list", list_name);
        if let Some(name) = &name {
            match names.iter().find(|earlier| earlier.value == name.value) {
                Some(earlier) => {
                    let found =
                        format!("{:?}, the name of the list at {}", name.value, earlier.place);
                    reader.wrong_at(name, Wrong::expected(&found, "another"));
                }
                None => names.push(name.clone()),
            }
            if names.len() == MOST + 1 {
                let found = format!("{:?}, list number {}", name.value, MOST + 1);
                reader.wrong_at(name, Wrong::expected(&found, format!("at most {MOST} lists")));
            }
        }
        lists.extend(list(&mut reader, name, common).map(Arc::new));
        reader.finish();
    }
    lists
}

/// The kernel counts by list, and protected hosts take the place of one.
const MOST: usize = MAX_LISTS - 1;

/// What the kernel does with SYNs from listed addresses.
pub(super) fn kernel_action(
    reader: &mut Reader<'_>,
    key: &'static str,
) -> Option<At<KernelAction>> {
    /// The default first, then by severity.
    const ACTIONS: [KernelAction; 5] = [
        KernelAction::Refuse,
        KernelAction::Reset,
        KernelAction::Drop,
        KernelAction::Count,
        KernelAction::Off,
    ];
    reader.optional(key, choice(&ACTIONS.map(|action| (action.name(), action))))
}

fn list(reader: &mut Reader<'_>, name: Option<At<String>>, common: &Common<'_>) -> Option<List> {
    let class = reader.required("class", &class_words(), class);
    let source = source(reader, common.folder);
    let guard = guard(reader, &source);
    let format = reader.optional("format", format);
    let action = action(reader, class.as_ref(), common.score_enabled);
    let hops = reader.optional("hops", hop_scope);
    let label = reader.optional("label", label);
    // A dry run of everything must come to what would be decided without it, so that the list stays as it is here: the
    // policy alone decides then that nothing is done. The kernel knows no policy.
    let enforce = reader.or("enforce", true, boolean);
    let kernel = kernel(reader, action, enforce && common.enforce, common.kernel);
    let (name, class, action) = (name?.value, class?.value, action?);
    Some(List {
        label: label.map_or_else(|| name.as_str().into(), |label| label.value.into()),
        name: name.into(),
        class,
        action,
        hops: hops.map_or_else(|| action.default_hops(), |hops| hops.value),
        kernel,
        enforce,
        source,
        format: format.and_then(|format| format.value),
        guard,
    })
}

/// The keys that name a source, of which a list has one.
const SOURCES: [&str; 3] = ["file", "folder", "url"];

/// The format of a list; `None` is to be detected.
fn format(value: &Value) -> Parsed<Option<Format>> {
    let mut words = vec![("auto", None)];
    words.extend(Format::ALL.map(|format| (format.name(), Some(format))));
    choice(&words)(value)
}

fn class(value: &Value) -> Parsed<Class> {
    choice(&Class::ALL.map(|class| (class.name(), class)))(value)
}

fn class_words() -> String {
    format!("one of {}", Class::ALL.map(Class::name).join(", "))
}

fn hop_scope(value: &Value) -> Parsed<HopScope> {
    choice(&[
        ("connect", HopScope::Connect),
        ("unauthenticated", HopScope::Unauthenticated),
        ("all", HopScope::All),
    ])(value)
}

/// Where the entries come from; a list that says nothing about it is filled by commands.
fn source(reader: &mut Reader<'_>, folder: &Path) -> Source {
    let given = SOURCES.map(|key| reader.has(key).then_some(key));
    let mut given = given.into_iter().flatten();
    if let (Some(first), Some(second)) = (given.next(), given.next()) {
        let wrong = Wrong::expected(&format!("`{second}` beside `{first}`"), "one of them");
        reader.wrong(second, reader.place().clone(), wrong);
    }
    let file = reader.optional("file", text).map(|at| Source::File(folder.join(at.value)));
    let all = reader.optional("folder", text).map(|at| Source::Folder(folder.join(at.value)));
    let url = download(reader, folder).map(Source::Url);
    file.or(all).or(url).unwrap_or(Source::Put)
}

fn action(
    reader: &mut Reader<'_>,
    class: Option<&At<Class>>,
    score_enabled: bool,
) -> Option<ListAction> {
    let nothing = Weight::new(0)?;
    let has_weight = reader.has("weight");
    let weight = reader.optional("weight", weight);
    let score = ListAction::Score(weight.as_ref().map_or(nothing, |weight| weight.value));
    let is_good = class.is_some_and(|class| class.value.is_good());
    let expected: &[ListAction] = if is_good {
        &[ListAction::Accept]
    } else {
        &[
            ListAction::Reject,
            ListAction::Defer,
            score,
            ListAction::Observe,
            ListAction::Tag,
            ListAction::RejectMessage,
            ListAction::Discard,
        ]
    };
    let default = expected.first().copied()?;
    let action = if reader.has("action") {
        reader.optional("action", |value| one_action(value, expected, class))
    } else {
        Some(At { value: default, key: "action", place: reader.place().clone() })
    };
    // Where the action itself is wrong, nobody can say whether a weight belongs to it.
    let action = action?;
    match (action.value, weight) {
        (ListAction::Score(_), None) if !has_weight => {
            let wrong = Wrong::expected(&"\"score\" without weight", "weight, -1000 to 1000");
            reader.wrong_at(&action, wrong);
        }
        (ListAction::Score(_), Some(_)) if !score_enabled => {
            let text = "\"score\" has no effect, since [score] is not enabled";
            reader.notice(action.key, action.place.clone(), text);
        }
        (ListAction::Score(_), _) | (_, None) => (),
        (other, Some(weight)) => {
            let found = format!("{} with action {:?}", weight.value.value(), other.name());
            let wrong = Wrong::expected(&found, "a weight with action \"score\" only");
            reader.wrong_at(&weight, wrong);
        }
    }
    Some(action.value)
}

fn one_action(
    value: &Value,
    expected: &[ListAction],
    class: Option<&At<Class>>,
) -> Parsed<ListAction> {
    let words: Vec<_> = expected.iter().map(|action| (action.name(), *action)).collect();
    choice(&words)(value).map_err(|wrong| match (value, class) {
        (Value::Text(word), _) if word == "quarantine" => {
            wrong.hint("\"quarantine\" comes with a later version")
        }
        (Value::Text(_), Some(class)) => {
            let class = class.value.name();
            let all = expected.iter().map(|action| action.name());
            let all: Vec<_> = all.collect();
            Wrong::expected(value, format_args!("one of {} for class \"{class}\"", all.join(", ")))
        }
        _ => wrong,
    })
}

fn weight(value: &Value) -> Parsed<Weight> {
    let number = integer(-1000..=1000_i64)(value)?;
    Weight::new(number).ok_or_else(|| Wrong::expected(value, "a number from -1000 to 1000"))
}

/// The kernel acts for `reject` lists alone, and does no more than count where nothing is enforced.
fn kernel(
    reader: &mut Reader<'_>,
    action: Option<ListAction>,
    enforce: bool,
    default: KernelAction,
) -> KernelAction {
    let configured = kernel_action(reader, "kernel");
    if action != Some(ListAction::Reject) {
        if let (Some(kernel), Some(action)) = (&configured, action)
            && kernel.value != KernelAction::Off
        {
            let found = format!("{:?} with action {:?}", kernel.value.name(), action.name());
            let wrong = Wrong::expected(&found, "a kernel action with action \"reject\" only");
            reader.wrong_at(kernel, wrong);
        }
        return KernelAction::Off;
    }
    match configured.map_or(default, |kernel| kernel.value) {
        KernelAction::Refuse | KernelAction::Reset | KernelAction::Drop if !enforce => {
            KernelAction::Count
        }
        kernel => kernel,
    }
}
