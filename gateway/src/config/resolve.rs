//! The tree of values into a `Config`: one function for each table.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gateway_ebpf::abi::{KernelAction, MAX_PORTS};

use super::acceptance::acceptance;
use super::audit::{audit, outputs};
use super::dns::dns;
use super::fault::{Fault, Faults, Findings, Notice, Place};
use super::header::header;
use super::limits::{limits, xdp_limits};
use super::listeners::listeners;
use super::lists::{Common, kernel_action, lists};
use super::next_hop::{Relaying, next_hop};
use super::proxied::{self, Proxied};
use super::quarantine::quarantine;
use super::reader::{At, Reader, table_keys};
use super::score::score;
use super::senders::{greylist, promotion};
use super::services::{service, taken};
use super::tls::tls;
use super::tree::{self, Table};
use super::values::{
    Wrong, account, boolean, choice, domain, duration, header_name, integer, interface, is_domain,
    own_prefix, recipient_domain, refuse_text, text,
};
use super::web::{public_lookup, web};
use super::zones::zones;
use super::{Config, LogConfig, LogFormat, PromotionConfig, RightsConfig, ScanConfig};
use crate::list::{AUTO, Class, List, ListAction};
use crate::policy::ReplyStyle;
use crate::xdp;
use crate::zone::Zone;

/// Reads all of `root`, which came from `file` and what lies beside it.
pub(super) fn resolve(
    file: &Path,
    root: Table,
    for_daemon: bool,
    findings: Findings,
) -> Result<(Config, Vec<Notice>), Faults> {
    let place = Place { file: file.into(), line: 0 };
    if for_daemon && let Some(missing) = missing_table(&place, &root) {
        findings.fault(missing);
    }
    let folder = file.parent().unwrap_or_else(|| Path::new(""));
    let mut top = Reader::new(table_keys(""), place, root, &findings);
    let state_dir = path(&mut top, "state_dir", folder, "/var/lib/portcullis");
    let rights = rights(&mut top);
    let drain = top.or("drain", DRAIN, duration);
    let enforce = top.or("enforce", true, boolean);
    let recipient_domains = values(top.each("recipient_domains", recipient_domain));
    let mut filter = top.table("xdp");
    let is_wanted = filter.or("filter_proxied_ports", false, boolean);
    let (xdp, kernel) = xdp(filter, folder, &state_dir, enforce);
    let (score, history, ptr_weight) = score(top.table("score"), folder);
    let common = Common { folder, enforce, kernel, score_enabled: score.enabled };
    let (acceptance, ptr_domains) = acceptance(top.tables("acceptance"));
    let dns = dns(top.table("dns"), &[ptr_domains, ptr_weight]);
    let (listeners, mut places) = listeners(top.tables("listener"));
    let next_hop = if top.has("next_hop") {
        let relaying = Relaying {
            has_domains: !recipient_domains.is_empty(),
            listeners: &listeners,
            places: &places,
            acceptance: &acceptance,
        };
        next_hop(top.table("next_hop"), folder, &relaying)
    } else {
        None
    };
    let admin_socket = admin_socket(top.table("admin"), folder);
    let mut taken = taken(&listeners, &admin_socket);
    let [milter, postfix_policy] = ["milter", "postfix_policy"].map(|table| {
        let found = top.has(table).then(|| service(top.table(table), folder, &taken)).flatten();
        taken.extend(found.iter().map(|service| service.endpoint.clone()));
        found
    });
    let web_users = top.tables("web_user");
    let web = (top.has("web") || !web_users.is_empty())
        .then(|| web(top.table("web"), web_users, &mut taken, &mut places.tls));
    let public_lookup = top
        .has("public_lookup")
        .then(|| public_lookup(top.table("public_lookup"), &mut taken, &mut places.tls))
        .flatten();
    let tls = tls(top.table("tls"), folder, &places.tls);
    let promotion = promotion(top.table("promotion"), enforce);
    let limits = limits(top.table("limits"));
    let own_name = hostname(&mut top);
    let outputs = outputs(top.tables("output"), folder);
    let config = Config {
        file: file.to_owned(),
        hostname: own_name.clone(),
        trusted_relays: values(top.each("trusted_relays", own_prefix(TRUSTED))),
        enforce,
        recipient_domains,
        xdp,
        listeners,
        next_hop,
        tls,
        header: header(top.table("header")),
        milter,
        postfix_policy,
        web,
        public_lookup,
        lists: lists(top.tables("list"), &common).into_iter().chain(auto(&promotion)).collect(),
        acceptance,
        dns,
        zones: zones(top.tables("zone"), &common),
        score,
        history,
        greylist: greylist(top.table("greylist")),
        promotion,
        reply_style: reply_style(top.table("reply")),
        quarantine: quarantine(top.table("quarantine"), folder, &state_dir, limits.message),
        limits,
        scan: scan(top.table("scan")),
        admin_socket,
        audit: audit(top.table("audit"), outputs, &own_name, folder, &state_dir),
        log: log(top.table("log")),
        rights,
        drain,
        state_dir,
        reads: findings.files(),
        shown: Arc::default(),
    };
    top.finish();
    let proxied = Proxied { listeners: &places.proxied, xdp: &config.xdp, is_wanted };
    proxied::check(&proxied, &config.lists, &findings);
    findings.finish().map(|notices| (config, notices))
}

/// How long connections may take to finish.
const DRAIN: Duration = Duration::from_secs(30);

fn rights(top: &mut Reader<'_>) -> RightsConfig {
    let user = top.optional("user", account).map(|at| at.value);
    let group = top.optional("group", account);
    if let Some(group) = group.as_ref().filter(|_group| user.is_none()) {
        let text = "without `user` the group is left as it is";
        top.notice(group.key, group.place.clone(), text);
    }
    let group = group.map(|at| at.value);
    RightsConfig { user, group, landlock: top.or("landlock", true, boolean) }
}

/// Where the daemon of `file` answers, as far as `root` tells; what is wrong elsewhere does not matter for it.
pub(super) fn admin_socket_alone(file: &Path, root: Table) -> PathBuf {
    let findings = Findings::default();
    let place = Place { file: file.into(), line: 0 };
    let folder = file.parent().unwrap_or_else(|| Path::new(""));
    let mut top = Reader::new(table_keys(""), place, root, &findings);
    admin_socket(top.table("admin"), folder)
}

/// What the daemon needs and the other commands do not: a front, and a next hop for what listeners take.
fn missing_table(place: &Place, root: &Table) -> Option<Fault> {
    let has = |table: &str| root.contains_key(table);
    let (table, expected, hint) = if has("listener") {
        if has("next_hop") {
            return None;
        }
        let hint = "add [next_hop] with the address of the mail server behind";
        ("next_hop", "it for the mail of [[listener]]", hint)
    } else if has("milter") || has("postfix_policy") {
        return None;
    } else {
        let hint = "add [[listener]] with address = \"0.0.0.0:25\" and [next_hop], or [milter] inside a mail server";
        ("listener", "it, [milter] or [postfix_policy] for `portcullis run`", hint)
    };
    Some(Fault {
        place: place.clone(),
        key: table.to_owned(),
        text: format!("missing, expected {expected}"),
        hint: Some(hint.to_owned()),
    })
}

/// Reads one table `[[zone]]` from a text of its own; what is wrong with it in one line.
pub(super) fn zone_alone(file: &Path, spec: &str, score_enabled: bool) -> Result<Zone, String> {
    let findings = Findings::default();
    let place = Place { file: file.into(), line: 0 };
    let root = tree::parse(&place.file, spec, &findings);
    let folder = file.parent().unwrap_or_else(|| Path::new(""));
    let common = Common { folder, enforce: true, kernel: KernelAction::Off, score_enabled };
    let mut top = Reader::new(table_keys(""), place, root, &findings);
    let mut found = zones(top.tables("zone"), &common);
    top.finish();
    match findings.finish() {
        Ok(_notices) if found.len() > 1 => Err("more than one zone".to_owned()),
        Ok(_notices) => found.pop().map(Arc::unwrap_or_clone).ok_or_else(|| "no zone".to_owned()),
        Err(Faults(faults)) => {
            let faults = faults.into_iter().map(|Fault { key, text, hint, .. }| {
                let hint = hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
                format!("{key}: {text}{hint}")
            });
            Err(faults.collect::<Vec<_>>().join("; "))
        }
    }
}

/// The list of promoted hosts, where hosts are promoted.
fn auto(promotion: &PromotionConfig) -> Option<Arc<List>> {
    let list = List::new(AUTO, Class::Auto, ListAction::Reject);
    let list = List { label: "refused too often".into(), kernel: promotion.kernel, ..list };
    (promotion.settings.refusals > 0).then(|| Arc::new(list))
}

pub(super) fn values<T>(items: Option<Vec<At<T>>>) -> Vec<T> {
    items.into_iter().flatten().map(|at| at.value).collect()
}

/// A path; a relative one begins in the folder of the main file, wherever it is written.
pub(super) fn path(
    reader: &mut Reader<'_>,
    key: &'static str,
    folder: &Path,
    default: impl Into<PathBuf>,
) -> PathBuf {
    let path = reader.optional(key, text);
    path.map_or_else(|| default.into(), |path| folder.join(path.value))
}

fn hostname(top: &mut Reader<'_>) -> String {
    if top.has("hostname") {
        return top.or("hostname", String::new(), domain);
    }
    let system = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let system = system.trim().to_ascii_lowercase();
    if !is_domain(&system) {
        let missing = format!("missing, and the system's is {system:?}");
        let wrong = Wrong::expected(&missing, "a domain name like \"mx1.example.org\"");
        top.wrong("hostname", top.place().clone(), wrong);
    }
    system
}

/// Whoever is believed can blame any address for his mail, so nobody may believe the whole world by mistake.
const TRUSTED: &str =
    "the Received fields of a trusted relay are believed; name your own hosts only";

/// More than that in a second from each processor would be no sample, and work for another one.
const MOST_EVENTS: u32 = 100_000;

fn xdp(
    mut reader: Reader<'_>,
    folder: &Path,
    state_dir: &Path,
    enforce: bool,
) -> (xdp::Config, KernelAction) {
    let default = xdp::Config::default();
    let mode = choice(&[
        ("auto", xdp::Mode::Auto),
        ("native", xdp::Mode::Native),
        ("generic", xdp::Mode::Generic),
        ("off", xdp::Mode::Off),
    ]);
    let config = xdp::Config {
        interfaces: values(reader.each("interfaces", interface)),
        mode: reader.or("mode", default.mode, mode),
        ports: ports(&mut reader).unwrap_or(default.ports),
        pin_dir: path(&mut reader, "pin_dir", folder, default.pin_dir),
        refuse_text: reader.or("refuse_text", default.refuse_text, refuse_text),
        answers_per_second: reader.or(
            "answers_per_second",
            default.answers_per_second,
            integer(0..=u32::MAX),
        ),
        events_per_second: reader.or(
            "events_per_second",
            default.events_per_second,
            integer(0..=MOST_EVENTS),
        ),
        limits: xdp_limits(&mut reader, enforce),
        references: Some(state_dir.join("reference-keys")),
    };
    let kernel = kernel_action(&mut reader, "action");
    reader.finish();
    (config, kernel.map_or(KernelAction::Refuse, |kernel| kernel.value))
}

fn ports(reader: &mut Reader<'_>) -> Option<Vec<u16>> {
    let items = reader.each("ports", integer(1..=u16::MAX))?;
    let expected = format!("1 to {MAX_PORTS} ports");
    match items.get(MAX_PORTS) {
        Some(beyond) => {
            let found = format!("{} ports", items.len());
            reader.wrong_at(beyond, Wrong::expected(&found, expected));
        }
        None if items.is_empty() => {
            let wrong = Wrong::expected(&"no port", expected);
            let hint = "mode = \"off\" switches the filter off";
            reader.wrong("ports", reader.place().clone(), wrong.hint(hint));
        }
        None => (),
    }
    Some(values(Some(items)))
}

fn reply_style(mut reader: Reader<'_>) -> ReplyStyle {
    let bare = reader.or("bare", false, boolean);
    let mut part = |key| match reader.optional(key, boolean) {
        Some(at) if at.value && bare => {
            let wrong = Wrong::expected(&"true with bare = true", "one of them");
            reader.wrong_at(&at, wrong);
            false
        }
        Some(at) => at.value,
        None => !bare,
    };
    let style =
        ReplyStyle { address: part("address"), label: part("label"), reference: part("reference") };
    reader.finish();
    style
}

fn scan(mut reader: Reader<'_>) -> ScanConfig {
    let mut headers: Vec<At<String>> = Vec::new();
    for header in reader.each("headers", header_name).into_iter().flatten() {
        match headers.iter().find(|earlier| earlier.value.eq_ignore_ascii_case(&header.value)) {
            Some(earlier) => {
                let found = format!("{:?}, the same field as {:?}", header.value, earlier.value);
                reader.wrong_at(&header, Wrong::expected(&found, "it once"));
            }
            None => headers.push(header),
        }
    }
    let config = ScanConfig {
        headers: headers.into_iter().map(|header| header.value.into()).collect(),
        good_client_skips_headers: reader.or("good_client_skips_headers", false, boolean),
    };
    reader.finish();
    config
}

/// What `sun_path` holds beside its final NUL (unix(7)).
pub(super) const LONGEST_SOCKET: usize = 107;

fn admin_socket(mut reader: Reader<'_>, folder: &Path) -> PathBuf {
    let at = reader.optional("socket", text);
    let socket = at
        .as_ref()
        .map_or_else(|| PathBuf::from("/run/portcullis/admin.sock"), |at| folder.join(&at.value));
    let length = socket.as_os_str().len();
    if let Some(at) = at
        && length > LONGEST_SOCKET
    {
        let found = format!("{} with {length} octets", socket.display());
        let expected = format!("a path of at most {LONGEST_SOCKET}, for a Unix socket");
        reader.wrong_at(&at, Wrong::expected(&found, expected));
    }
    reader.finish();
    socket
}

fn log(mut reader: Reader<'_>) -> LogConfig {
    let levels = ["error", "warn", "info", "debug", "trace"].map(|level| (level, level));
    let format = choice(&[("text", LogFormat::Text), ("json", LogFormat::Json)]);
    let config = LogConfig {
        level: reader.or("level", "info", choice(&levels)).to_owned(),
        format: reader.or("format", LogFormat::Text, format),
    };
    reader.finish();
    config
}
