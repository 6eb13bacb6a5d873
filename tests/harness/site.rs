//! The configuration of an edge host, put together from what one test needs to be otherwise.

use std::fmt::Write as _;
use std::net::IpAddr;

use anyhow::{Context, Result};

use crate::smtp_server::Options;
use crate::stage::Stage;

/// An edge host before it is built: its configuration, its list files, its next hop.
#[derive(Clone, Debug, Default)]
pub struct Site {
    top: String,
    xdp: String,
    listener: String,
    has_no_listener: bool,
    passes_client_by: Option<&'static str>,
    idle_connections: Option<usize>,
    next_hop_at: Option<String>,
    tables: String,
    files: Vec<(String, String)>,
    next_hop: Options,
}

impl Site {
    /// One with the filter in the kernel, in native mode where the driver can.
    ///
    /// It resets, so that what the kernel did can be told at once from a refusal by the daemon; always, since tests may connect
    /// from one network as often as they can.
    pub fn with_kernel() -> Self {
        Self::default()
            .xdp("interfaces = [\"eth0\"]\naction = \"reset\"\nanswers_per_network = 0\n")
    }

    /// One where the daemon alone decides.
    pub fn without_kernel() -> Self {
        Self { xdp: "mode = \"off\"\n".to_owned(), ..Self::default() }
    }

    /// Takes listener and next hop away: another mail server has port 25, and asks.
    #[must_use]
    pub fn without_listener(mut self) -> Self {
        self.has_no_listener = true;
        self
    }

    /// Adds lines at the top.
    #[must_use]
    pub fn top(mut self, lines: &str) -> Self {
        self.top.extend([lines, "\n"]);
        self
    }

    /// Replaces the interfaces, the mode and the action, and adds whatever else is in `lines`.
    #[must_use]
    pub fn xdp(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.xdp);
        self
    }

    /// Adds lines to the listener.
    #[must_use]
    pub fn listener(mut self, lines: &str) -> Self {
        self.listener.extend([lines, "\n"]);
        self
    }

    /// How the next hop learns who the client is: `xclient`, unless told otherwise, `proxy` or `none`.
    #[must_use]
    pub fn passes_client_by(mut self, means: &'static str) -> Self {
        self.next_hop.proxy = means.starts_with("proxy");
        self.passes_client_by = Some(means);
        self
    }

    /// How many connections to the next hop may wait for another client.
    #[must_use]
    pub fn idle_connections(mut self, most: usize) -> Self {
        self.idle_connections = Some(most);
        self
    }

    /// Where the daemon looks for its next hop; unless told otherwise, where the stage's own server is.
    #[must_use]
    pub fn next_hop_at(mut self, address: &str) -> Self {
        self.next_hop_at = Some(address.to_owned());
        self
    }

    /// Adds whole tables.
    #[must_use]
    pub fn tables(mut self, text: &str) -> Self {
        self.tables.extend(["\n", text, "\n"]);
        self
    }

    /// Adds a list with its further keys, one a line, and the text of its file, `NAME.txt`.
    #[must_use]
    pub fn list(self, name: &str, class: &str, keys: &str, entries: &str) -> Self {
        let table = format!(
            "[[list]]\nname = \"{name}\"\nclass = \"{class}\"\nfile = \"{name}.txt\"\n{keys}"
        );
        let mut site = self.tables(&table);
        site.files.push((format!("{name}.txt"), entries.to_owned()));
        site
    }

    /// A next hop that is as `options` say.
    #[must_use]
    pub fn next_hop(mut self, options: Options) -> Self {
        self.next_hop = Options { proxy: self.next_hop.proxy, ..options };
        self
    }

    /// The configuration, with the placeholders that a [`Stage`] fills in.
    pub fn config(&self) -> Result<String> {
        let Self { top, xdp, listener, tables, .. } = self;
        let client = self.passes_client_by.unwrap_or("xclient");
        let next_hop = self.next_hop_at.as_deref().unwrap_or("{next_hop}");
        let idle = self
            .idle_connections
            .map_or_else(String::new, |most| format!("idle_connections = {most}"));
        let mut text = String::new();
        writeln!(
            text,
            "hostname = \"mx1.example.org\"
state_dir = \"{{dir}}/state\"
{top}
[xdp]
pin_dir = \"{{pins}}\"
{xdp}
[admin]
socket = \"{{dir}}/admin.sock\"

[audit]
file = \"{{dir}}/audit.jsonl\"
"
        )?;
        if !self.has_no_listener {
            writeln!(
                text,
                "[[listener]]
address = \"[::]:25\"
{listener}
[next_hop]
address = \"{next_hop}\"
client = \"{client}\"
{idle}"
            )?;
        }
        text += tables;
        Ok(text)
    }

    /// Builds the host, its next hop and the sender host with the addresses `senders`.
    pub fn stage(&self, senders: &[&str]) -> Result<Stage> {
        let senders = senders
            .iter()
            .map(|text| text.parse().with_context(|| format!("`{text}` is no address")))
            .collect::<Result<Vec<IpAddr>>>()?;
        let stage = Stage::with_next_hop(&self.config()?, &senders, self.next_hop.clone())?;
        for (name, text) in &self.files {
            stage.home.write(name, text)?;
        }
        Ok(stage)
    }
}
