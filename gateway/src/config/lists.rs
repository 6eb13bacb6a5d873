//! The tables `[[list]]`: which class may do what, where, and in the kernel.

use std::path::Path;
use std::sync::Arc;

use gateway_ebpf::abi::{KernelAction, MAX_LISTS};

use super::action::{Allowed, action, bad_actions, hops};
use super::download::{download, guard};
use super::reader::{At, Reader};
use super::tree::Value;
use super::values::{Parsed, Wrong, boolean, choice, label, list_name};
use crate::list::{AUTO, Class, Format, List, ListAction, Source};

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
            reader.only_one(name, &mut names, "list", MOST);
            if name.value == AUTO {
                let wrong = Wrong::expected(&format_args!("{AUTO:?}"), "another name");
                let hint = "the list of that name fills itself: see [promotion]";
                reader.wrong_at(name, wrong.hint(hint));
            }
        }
        lists.extend(list(&mut reader, name, common).map(Arc::new));
        reader.finish();
    }
    lists
}

/// The kernel counts by list; protected hosts take the place of one, and the list `auto` that of another.
const MOST: usize = MAX_LISTS - 2;

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
    let action = action(reader, &allowed(class.as_ref(), common.score_enabled));
    let hops = hops(reader);
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
        hops: hops.unwrap_or_else(|| action.default_hops()),
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

/// What a list of `class` may do.
fn allowed(class: Option<&At<Class>>, score_enabled: bool) -> Allowed {
    let class = class.map(|class| class.value);
    let is_good = class.is_some_and(Class::is_good);
    Allowed {
        class: class.map(Class::name),
        actions: if is_good { vec![ListAction::Accept] } else { bad_actions() },
        score_enabled,
        has_own_weights: false,
    }
}

/// Where the entries come from; a list that says nothing about it is filled by commands.
fn source(reader: &mut Reader<'_>, folder: &Path) -> Source {
    let given = SOURCES.map(|key| reader.has(key).then_some(key));
    let mut given = given.into_iter().flatten();
    if let (Some(first), Some(second)) = (given.next(), given.next()) {
        let wrong = Wrong::expected(&format!("`{second}` beside `{first}`"), "one of them");
        reader.wrong(second, reader.place().clone(), wrong);
    }
    let file = reader.file("file", folder).map(|at| Source::File(at.value));
    let all = reader.file("folder", folder).map(|at| Source::Folder(at.value));
    let url = download(reader, folder).map(Source::Url);
    file.or(all).or(url).unwrap_or(Source::Put)
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
    no_more_than_counted(configured.map_or(default, |kernel| kernel.value), enforce)
}

/// What the kernel does where nothing is enforced.
pub(super) fn no_more_than_counted(kernel: KernelAction, enforce: bool) -> KernelAction {
    match kernel {
        KernelAction::Refuse | KernelAction::Reset | KernelAction::Drop if !enforce => {
            KernelAction::Count
        }
        kernel => kernel,
    }
}
