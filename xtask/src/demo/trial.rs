//! Plays one case and finds out who decided it: from the kernel's counters, or from the daemon's audit record.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use harness::smtp_client::{Attempt, Reply, SmtpClient};
use harness::stage::Stage;
use serde::Serialize;
use serde_json::Value;

use super::cases::{Case, DecidedBy};

/// How long a sender waits for an answer to its SYN before it gives up.
const PATIENCE: Duration = Duration::from_millis(1500);
/// Where the refused ones are in `kernel_actions`.
const REFUSED: usize = 0;
/// How long a record may take to be written.
const RECORD_PATIENCE: Duration = Duration::from_secs(5);

/// What came of one case.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    pub(super) name: &'static str,
    pub(super) client: String,
    pub(super) decided_by: DecidedBy,
    pub(super) verdict: String,
    pub(super) code: String,
    pub(super) action: String,
    /// What the sender saw last; `null` where nothing was said.
    pub(super) reply: Option<String>,
    pub(super) reference: Option<String>,
    /// Whether the right party decided what was expected.
    pub(super) ok: bool,
    /// What the sender's system saw, where no reply came.
    #[serde(skip)]
    pub(super) seen: &'static str,
}

/// Plays `case`.
pub(super) fn run(stage: &Stage, case: &Case) -> Result<Outcome> {
    if !case.typed.is_empty() {
        let typed = stage.home.cli(case.typed)?;
        ensure!(typed.status.success(), "{:?}: {typed:?}", case.typed);
    }
    std::thread::sleep(case.after);
    let before = kernel_actions(stage)?;
    let records = stage.home.audit()?.len();
    let outcome = match stage.attempt(case.client, PATIENCE)? {
        Attempt::Refused => by_kernel(stage, case, before, None, "connection refused (RST)"),
        Attempt::TimedOut => by_kernel(stage, case, before, None, "no answer (timeout)"),
        Attempt::Connected(mut client) => {
            let greeting = client.reply()?;
            if kernel_actions(stage)?[REFUSED] > before[REFUSED] {
                client.send_line("QUIT")?;
                client.expect(221)?;
                client.finish()?;
                by_kernel(stage, case, before, Some(greeting.to_string()), "")
            } else {
                by_daemon(stage, case, client, greeting, records)
            }
        }
        Attempt::Unreachable(errno) => bail!("{} cannot reach the edge: {errno}", case.client),
    }?;
    let ok = outcome.decided_by == case.decided_by
        && outcome.code == case.code
        && outcome.action == case.action
        && match (&outcome.reply, case.reply) {
            (Some(reply), Some(expected)) => reply.starts_with(expected),
            (None, None) => true,
            _ => false,
        };
    Ok(Outcome { ok, ..outcome })
}

/// The kernel dealt with the sender: its counters say what was done, the lookup says why.
fn by_kernel(
    stage: &Stage,
    case: &Case,
    before: [u64; 3],
    reply: Option<String>,
    seen: &'static str,
) -> Result<Outcome> {
    let after = kernel_actions(stage)?;
    let mut done = before.iter().zip(after).map(|(before, after)| after > *before);
    let action = match [done.next(), done.next(), done.next()].map(Option::unwrap_or_default) {
        [true, false, false] => "refuse",
        [false, true, false] => "reset",
        [false, false, true] => "drop",
        _ => bail!("the kernel counted no one refusal: {before:?} {after:?}"),
    };
    let reference = reply.as_ref().and_then(|reply| reply.rsplit(' ').next());
    let reference = reference.map(ToOwned::to_owned);
    let client = case.client.to_string();
    let lookup = stage.home.cli_json(&["lookup", "--json", &client])?;
    let found = lookup.get(0).context("lookup answers with one address")?;
    Ok(Outcome {
        name: case.name,
        client,
        decided_by: DecidedBy::Kernel,
        verdict: text(found, "verdict")?,
        code: text(found, "code")?,
        action: action.to_owned(),
        reply,
        reference,
        ok: false,
        seen,
    })
}

/// The sender got a connection: the daemon's last record about it says what was decided, and why.
fn by_daemon(
    stage: &Stage,
    case: &Case,
    mut client: SmtpClient,
    greeting: Reply,
    records: usize,
) -> Result<Outcome> {
    let (phases, reply) = if greeting.code == 220 {
        client.send_line("EHLO sender.example.com")?;
        client.expect(250)?;
        let reply = client.deliver("a@example.com", &[case.recipient], case.message)?;
        (&["recipient", "message"][..], reply)
    } else {
        (&["connect"][..], greeting)
    };
    client.send_line("QUIT")?;
    client.finish()?;
    let address = case.client.to_string();
    let is_ours = |record: &Value| {
        record.get("client").and_then(Value::as_str) == Some(&address)
            && record.get("phase").and_then(Value::as_str).is_some_and(|it| phases.contains(&it))
    };
    let what = format!("the record of the {} from {address}", phases.join(" or "));
    let record = harness::deadline::wait_for(&what, RECORD_PATIENCE, || {
        Ok(stage.home.audit()?.into_iter().skip(records).find(is_ours))
    })?;
    Ok(Outcome {
        name: case.name,
        client: address.clone(),
        decided_by: DecidedBy::Daemon,
        verdict: text(&record, "verdict")?,
        code: text(&record, "code")?,
        action: text(&record, "action")?,
        reply: Some(reply.to_string()),
        reference: Some(text(&record, "reference")?),
        ok: false,
        seen: "",
    })
}

/// How many SYNs the kernel has refused, reset and dropped.
fn kernel_actions(stage: &Stage) -> Result<[u64; 3]> {
    Ok([
        stage.status_number("/xdp/counters/refused/packets")?,
        stage.status_number("/xdp/counters/reset/packets")?,
        stage.status_number("/xdp/counters/dropped/packets")?,
    ])
}

fn text(value: &Value, key: &str) -> Result<String> {
    let text = value.get(key).and_then(Value::as_str);
    text.map(ToOwned::to_owned).with_context(|| format!("no text `{key}` in {value}"))
}
