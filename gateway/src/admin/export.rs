//! `/api/v1/lists/{list}/export`: the entries of a list in force, as other programs read them.

use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::lists::{loaded, unread};
use super::queried::Queried;
use super::{Fault, Sources};
use crate::clock::Clock;
use crate::list::{ExportFormat, Loaded, export};

/// Octets of a list that go out at once.
const PIECE: usize = 64 << 10;
/// Pieces that are written before somebody takes them.
const AHEAD: usize = 4;
/// How long a piece may wait for somebody to take it: the thread that writes is one of few.
const PATIENCE: Duration = Duration::from_mins(1);

/// All paths.
pub(super) fn routes() -> OpenApiRouter<Arc<Sources>> {
    OpenApiRouter::default().routes(routes!(show))
}

/// What the list is written as.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// `plain`, `json`, `csv`, `nftables` or `rbldnsd`.
    format: String,
}

/// Writes the entries of a list in force as other programs read them.
#[utoipa::path(
    get, path = "/api/v1/lists/{list}/export", tag = "lists", operation_id = "exportList",
    params(("list" = String, Path, description = "The name of the list"), Wanted),
    responses(
        (status = 200, body = String, content_type = "text/plain", description = "A file in that format"),
        (status = 404, description = "There is no list of that name"),
        (status = 422, description = "The format is none"),
        (status = 503, description = "The part of the daemon that has the lists has ended"),
    )
)]
async fn show(
    State(sources): State<Arc<Sources>>,
    Path(name): Path<String>,
    Queried(Wanted { format: word }): Queried<Wanted>,
) -> Result<Response, Fault> {
    let format = ExportFormat::ALL.into_iter().find(|format| format.name() == word);
    let Some(format) = format else {
        let known = ExportFormat::ALL.map(ExportFormat::name).join(", ");
        let word: String = word.chars().take(40).collect();
        return Err(unread(&format!("`{word}` is no format of an export"))
            .hint(format!("`format` is one of {known}")));
    };
    let loaded = loaded(&sources, &name).await?;
    // The name of a list has letters, digits, `-`, `_` and `.` alone.
    let file = format!("attachment; filename=\"{}.{}\"", loaded.list.name, format.extension());
    let headers =
        [(header::CONTENT_TYPE, format.media_type()), (header::CONTENT_DISPOSITION, file.as_str())];
    Ok((headers, body(loaded, format)).into_response())
}

/// The entries, written as fast as somebody takes them: no list has to be in memory twice.
fn body(loaded: Loaded, format: ExportFormat) -> Body {
    let (sender, pieces) = mpsc::channel(AHEAD);
    let runtime = Handle::current();
    let writing = spawn_blocking(move || {
        let mut out = BufWriter::with_capacity(PIECE, Pieces { sender, runtime });
        let entries = loaded.in_force(Clock::System.now());
        export(format, &loaded.list.name, entries, &mut out)?;
        out.flush()
    });
    Body::from_stream(stream::unfold(Some((pieces, writing)), next))
}

/// What is to come: pieces, then how writing ended.
type Coming = Option<(Receiver<Bytes>, JoinHandle<io::Result<()>>)>;

/// The next piece. Whoever reads learns where it is not all: an end is an end only if all was written.
async fn next(coming: Coming) -> Option<(io::Result<Bytes>, Coming)> {
    let (mut pieces, writing) = coming?;
    if let Some(piece) = pieces.recv().await {
        return Some((Ok(piece), Some((pieces, writing))));
    }
    let error = writing.await.map_err(io::Error::other).flatten().err()?;
    Some((Err(error), None))
}

/// Gives what is written to whoever reads.
struct Pieces {
    sender: Sender<Bytes>,
    runtime: Handle,
}

impl Write for Pieces {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let piece = Bytes::copy_from_slice(octets);
        let taken =
            self.runtime.block_on(async { timeout(PATIENCE, self.sender.send(piece)).await });
        match taken {
            Ok(Ok(())) => Ok(octets.len()),
            Ok(Err(_gone)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(_too_slow) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use axum::http::{Method, Request};
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;
    use crate::admin::changes;
    use crate::admin::testing::Site;

    const LISTS: &str = "[[list]]\nname = \"bad\"\nclass = \"local-bad\"";

    /// Type, name of the file, and text.
    async fn exported(site: &Site, format: &str) -> (String, String, String) {
        let router = routes().with_state(Arc::clone(&site.sources));
        let (router, _document) = router.split_for_parts();
        let path = format!("/api/v1/lists/bad/export?format={format}");
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        let header = |name| response.headers().get(name).unwrap().to_str().unwrap().to_owned();
        let (media, file) = (header(header::CONTENT_TYPE), header(header::CONTENT_DISPOSITION));
        let octets = response.into_body().collect().await.unwrap().to_bytes();
        (media, file, String::from_utf8(octets.to_vec()).unwrap())
    }

    async fn put(site: &Site, text: String) {
        let router = routes().merge(changes::routes());
        let path = "/api/v1/lists/bad/entries?author=me";
        let (status, answer) = site.ask(&router, Method::PUT, path, text).await;
        assert_eq!(status, 200, "{answer:#}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_list_is_downloaded_in_each_format() {
        let site = Site::new(LISTS);
        put(&site, "192.0.2.7 # a host\n198.51.100.0/24\n".to_owned()).await;
        for (format, media, file, text) in [
            (
                "plain",
                "text/plain; charset=utf-8",
                "bad.txt",
                "192.0.2.7 # a host\n198.51.100.0/24\n",
            ),
            ("json", "application/x-ndjson", "bad.json", "\"records\":2"),
            ("csv", "text/csv; charset=utf-8", "bad.csv", "192.0.2.7,ip,ban,,a host\n"),
            ("nftables", "text/plain; charset=utf-8", "bad.nft", "table inet portcullis_bad {"),
            ("rbldnsd", "text/plain; charset=utf-8", "bad.zone", "192.0.2.7 :127.0.0.2:a host"),
        ] {
            let found = exported(&site, format).await;
            assert_eq!(found.0, media);
            assert_eq!(found.1, format!("attachment; filename=\"{file}\""));
            assert!(found.2.contains(text), "{}", found.2);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_list_of_many_pieces_is_whole() {
        let site = Site::new(LISTS);
        let count = 30_000_u32;
        let text = (0..count).fold("# list bad\n".to_owned(), |mut text, number| {
            let address = std::net::Ipv4Addr::from_bits(0x5800_0000 + number);
            writeln!(text, "{address}").unwrap();
            text
        });
        put(&site, text.clone()).await;
        assert!(text.len() > PIECE * AHEAD);
        assert!(exported(&site, "plain").await.2 == text);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_not_all_written_has_no_end() {
        let (sender, pieces) = mpsc::channel(1);
        let writing = spawn_blocking(move || {
            let piece = Bytes::from_static(b"192.0.2.7\n");
            sender.blocking_send(piece).map_err(io::Error::other)?;
            Err(io::ErrorKind::TimedOut.into())
        });
        let body = Body::from_stream(stream::unfold(Some((pieces, writing)), next));
        assert!(body.collect().await.is_err());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_cannot_be_exported_is_told() {
        let site = Site::new(LISTS);
        for (path, status, text) in [
            ("other/export?format=csv", 404, "`other` is no list"),
            ("bad/export?format=xml", 422, "one of plain, json, csv, nftables, rbldnsd"),
            ("bad/export", 422, "missing field `format`"),
            ("bad/export?format=csv&x=1", 422, "unknown field `x`"),
        ] {
            let (found, fault) = site.get(&routes(), &format!("/api/v1/lists/{path}")).await;
            assert_eq!((found, fault.to_string().contains(text)), (status, true), "{fault:#}");
        }
    }
}
