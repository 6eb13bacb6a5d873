//! Dialogues as text with `C:` and `S:` lines, played by Python against a real socket, in the clear or under TLS.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::netns::NetNs;

const SCRIPT: &str = include_str!("dialogue.py");

/// Plays `dialogue` from `client`, an address of `netns`, with the server at `edge`. It needs `python3`.
pub fn play(netns: &NetNs, client: IpAddr, edge: SocketAddr, dialogue: &str) -> Result<()> {
    let mut player = netns
        .command("python3")
        .args(["-c", SCRIPT])
        .args([edge.ip().to_string(), edge.port().to_string(), client.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("start python3")?;
    player.stdin.take().context("no input")?.write_all(dialogue.as_bytes())?;
    let ended = player.wait_with_output()?;
    if !ended.status.success() {
        bail!("{}", String::from_utf8_lossy(&ended.stderr));
    }
    Ok(())
}
