//! The least that somebody in the daemon's place needs: a pipe that looks at nothing, and refusals that know nothing.
//!
//! Each runs as a process of its own, this program once more, so that its processor time can be told.

use std::env;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::thread;

use anyhow::{Context as _, Result, bail};
use harness::netns::NetNs;
use tokio::io::copy_bidirectional;

/// What the command line of such a process begins with.
const SERVE: &str = "--serve";
/// Threads that refuse.
const REFUSING: usize = 8;

/// Starts a pipe from `listen` to `next` in `netns`.
pub(crate) fn pipe(netns: &NetNs, listen: SocketAddr, next: SocketAddr) -> Result<Child> {
    spawn(netns, &["pipe", &listen.to_string(), &next.to_string()])
}

/// Starts one that refuses everybody at `listen` in `netns`.
pub(crate) fn refuser(netns: &NetNs, listen: SocketAddr) -> Result<Child> {
    spawn(netns, &["refuse", &listen.to_string()])
}

fn spawn(netns: &NetNs, arguments: &[&str]) -> Result<Child> {
    let mut command = netns.command(env::current_exe()?);
    command.arg(SERVE).args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
    command.spawn().context("start this program once more")
}

/// Serves until it is killed, where the command line says so; `None` where it does not.
pub(crate) fn serve() -> Option<Result<()>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let (first, rest) = arguments.split_first()?;
    (*first == SERVE).then(|| match rest {
        ["pipe", listen, next] => serve_pipe(listen.parse()?, next.parse()?),
        ["refuse", listen] => serve_refusals(listen.parse()?),
        other => bail!("{SERVE} {other:?}"),
    })
}

/// Octets go through both ways, with the daemon's own runtime.
fn serve_pipe(listen: SocketAddr, next: SocketAddr) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(listen).await?;
        loop {
            let (mut client, _address) = listener.accept().await?;
            tokio::spawn(async move {
                let mut server = tokio::net::TcpStream::connect(next).await?;
                client.set_nodelay(true)?;
                server.set_nodelay(true)?;
                copy_bidirectional(&mut client, &mut server).await
            });
        }
    })
}

/// Each thread takes one connection after the other, and waits in it: there is nothing cheaper.
fn serve_refusals(listen: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(listen)?;
    let refuse = |mut stream: TcpStream| {
        stream.set_nodelay(true)?;
        stream.write_all(b"554 5.7.1 you are not allowed to connect\r\n")?;
        let mut said = [0; 64];
        while !said.starts_with(b"QUIT") {
            if stream.read(&mut said)? == 0 {
                return Ok(());
            }
        }
        stream.write_all(b"221 2.0.0 bye\r\n")
    };
    thread::scope(|scope| {
        for _ in 0..REFUSING {
            scope.spawn(|| {
                for stream in listener.incoming() {
                    // A client that is gone is no matter.
                    let _done: Option<()> = stream.and_then(refuse).ok();
                }
            });
        }
    });
    Ok(())
}
