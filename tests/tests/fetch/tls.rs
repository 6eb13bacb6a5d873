//! Whom a fetch over TLS believes, directly and through a proxy.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;

use gateway::list::Download;
use harness::feed_server::{FeedServer, Step, Wire, answer, redirect, text};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{LIST, download, fetch, told, url};

/// An authority with its certificate in a file.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A server with a certificate for `name`.
    fn server(&self, name: &str, target: &'static str) -> FeedServer {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = certificate.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let config = Arc::new(config);
        let wrap = move |stream| {
            let connection = ServerConnection::new(Arc::clone(&config))?;
            Ok(Box::new(StreamOwned::new(connection, stream)) as Box<dyn Wire>)
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        FeedServer::over(listener, wrap, move |request| match &*request.target {
            "/list" => text(LIST),
            _ => redirect(target),
        })
        .unwrap()
    }
}

fn https(server: &FeedServer, host: &str, path: &str) -> Download {
    download(&format!("https://{host}:{}{path}", server.address().port()))
}

#[test]
fn a_server_needs_a_certificate_that_is_believed() {
    let (ours, theirs) = (Authority::new("Ours"), Authority::new("Theirs"));
    let empty = ours.folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let by_address = ours.server("127.0.0.1", "");
    let by_name = ours.server("localhost", "");
    let plain = FeedServer::new(|_request| text(LIST)).unwrap();
    let absent = ours.folder.path().join("absent.pem");
    for (name, server, host, ca_file, expected) in [
        ("by its address", &by_address, "127.0.0.1", Some(ours.file()), LIST),
        ("by its name", &by_name, "localhost", Some(ours.file()), LIST),
        (
            "of another authority",
            &by_address,
            "127.0.0.1",
            Some(theirs.file()),
            "127.0.0.1: no TLS: invalid peer certificate: UnknownIssuer",
        ),
        (
            "of another name",
            &by_name,
            "127.0.0.1",
            Some(ours.file()),
            "127.0.0.1: no TLS: invalid peer certificate: ",
        ),
        ("no TLS", &plain, "127.0.0.1", Some(ours.file()), "127.0.0.1: no TLS: "),
        ("no file", &by_address, "127.0.0.1", Some(absent), "/"),
        ("no certificate in the file", &by_address, "127.0.0.1", Some(empty), "/"),
    ] {
        let download = Download { ca_file, ..https(server, host, "/list") };
        let found = told(&download);
        assert!(found.starts_with(expected), "{name}: {found}");
        if expected == "/" {
            assert!(found.ends_with(", expected certificates of authorities"), "{name}: {found}");
        }
    }
    // Without a file those of the system count, where there are any; this authority is not among them.
    let error = fetch(&https(&by_address, "127.0.0.1", "/list")).unwrap_err();
    assert!(error.hint().unwrap().contains("`ca_file`"), "{error}");
}

#[test]
fn tls_is_not_left_again() {
    let ours = Authority::new("Ours");
    let server = ours.server("127.0.0.1", "http://127.0.0.1/list");
    let download = Download { ca_file: Some(ours.file()), ..https(&server, "127.0.0.1", "/moved") };
    let expected = "redirect to http://127.0.0.1/list: from https to http, expected https";
    assert_eq!(told(&download), expected);
}

#[test]
fn a_proxy_makes_a_tunnel_and_sees_no_more() {
    let ours = Authority::new("Ours");
    let server = ours.server("localhost", "");
    let to = server.address();
    let proxy = FeedServer::new(move |request| match request.field("proxy-authorization") {
        Some("Basic am9lOnMzY3JldA==") => vec![Step::Tunnel(to)],
        _ => answer("407 Proxy Authentication Required", "", ""),
    })
    .unwrap();
    let with_password = proxy.url("/").replace("http://", "http://joe:s3cret@");
    let port = to.port();
    let refused = format!(
        "407 Proxy Authentication Required from the proxy {}, expected a connection to localhost:{port}",
        proxy.url("/")
    );
    for (through, expected) in [(&with_password, LIST), (&proxy.url("/"), &*refused)] {
        let proxy = Some(url(through));
        let download =
            Download { proxy, ca_file: Some(ours.file()), ..https(&server, "localhost", "/list") };
        assert_eq!(told(&download), expected);
    }
    for request in proxy.requests() {
        assert_eq!(
            (&*request.method, &*request.target),
            ("CONNECT", &*format!("localhost:{port}"))
        );
        assert_eq!(request.field("user-agent"), None);
    }
    assert_eq!(server.requests().len(), 1);
    assert_eq!(server.requests()[0].field("proxy-authorization"), None);
}
