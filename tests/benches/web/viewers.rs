//! What the daemon spends on many viewers of its live events, beside what it spends without any.

use std::io;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Duration, sleep, timeout};

use crate::Plan;
use crate::client::SERVER;
use crate::field::Field;
use crate::figures::{now, rounded, text};
use crate::spent::of_process;

/// Between two samples, and a little: after that each viewer has had one.
const WARM: Duration = Duration::from_secs(3);

/// Measures one time after the other, without viewers first.
pub(crate) async fn measure(field: &Field, plan: &Plan) -> Result<Value> {
    let Plan { viewers, watched, .. } = *plan;
    let without = share(field.daemon(), watched).await?;
    let mut watching = JoinSet::new();
    for _ in 0..viewers {
        let stream = open(&field.token).await?;
        watching.spawn(follow(stream, WARM + watched));
    }
    sleep(WARM).await;
    let with = share(field.daemon(), watched).await?;
    let (mut least, mut octets) = (usize::MAX, 0);
    while let Some(seen) = watching.join_next().await {
        let seen = seen??;
        least = least.min(seen.events);
        octets += seen.octets;
    }
    let expected = watched.as_secs() as usize / 2;
    ensure!(least >= expected, "a viewer saw {least} samples, expected {expected}");
    Ok(json!({
        "viewers": viewers,
        "seconds": watched.as_secs(),
        "percent_of_a_core_without": rounded(without),
        "percent_of_a_core_with": rounded(with),
        "percent_of_a_core": rounded(with - without),
        "octets_per_viewer_and_second":
            rounded(octets as f64 / viewers as f64 / (WARM + watched).as_secs_f64()),
    }))
}

/// What a process uses of one processor for that long, in percent.
async fn share(pid: u32, time: Duration) -> Result<f64> {
    let (before, started) = (of_process(pid)?, now());
    sleep(time).await;
    Ok(of_process(pid)?.since(before) / started.elapsed().as_secs_f64() * 100.0)
}

async fn open(token: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(SERVER).await.context("a viewer")?;
    let request = format!(
        "GET /api/v1/live HTTP/1.1\r\nhost: {SERVER}\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    Ok(stream)
}

/// What a viewer was sent.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    events: usize,
    octets: usize,
}

/// Reads for that long; each event comes as one chunk, that begins a line.
async fn follow(mut stream: TcpStream, time: Duration) -> io::Result<Seen> {
    let mut seen = Seen::default();
    let mut piece = vec![0; 64 << 10];
    let mut reading = async || loop {
        let length = stream.read(&mut piece).await?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let read = piece.get(..length).unwrap_or_default();
        seen.octets += length;
        seen.events += read.windows(6).filter(|word| word == b"\ndata:").count();
    };
    match timeout(time, reading()).await {
        Ok(Err(error)) => Err(error),
        Ok(Ok(())) | Err(_) => Ok(seen),
    }
}

/// A row for whoever watches.
pub(crate) fn line(row: &Value) -> String {
    format!(
        "{} viewers: {} % of a core; without them {} %, with them {} %, {} octets a second each",
        text(row, "/viewers"),
        text(row, "/percent_of_a_core"),
        text(row, "/percent_of_a_core_without"),
        text(row, "/percent_of_a_core_with"),
        text(row, "/octets_per_viewer_and_second"),
    )
}
