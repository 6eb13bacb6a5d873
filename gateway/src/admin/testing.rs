//! A daemon for the tests of routes: real lists, store and trail in a folder of its own, without kernel filter, fronts and zones.

use std::fmt::Display;
use std::fs;
use std::sync::Arc;
use std::sync::mpsc::channel;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use axum::response::Response;
use http_body_util::BodyExt;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tower::ServiceExt as _;
use utoipa_axum::router::OpenApiRouter;

use super::{Live, Memory, Sources, api};
use crate::alarm::Alarms;
use crate::audit;
use crate::clock::{Clock, ClockWatch};
use crate::config::Config;
use crate::dns::{self, Asker, Zones};
use crate::engine::Engine;
use crate::feed::Fetching;
use crate::front::Fronts;
use crate::levels::Levels;
use crate::quarantine::Quarantine;
use crate::refresh::{Refresher, Request as Change};
use crate::rights::{self, Confinement};
use crate::sight::TopTalkers;

/// One host; dropping it ends its threads.
pub(super) struct Site {
    _folder: TempDir,
    pub(super) sources: Arc<Sources>,
}

impl Site {
    /// A host with these lines of configuration, in which `{dir}` stands for its folder.
    pub(super) fn new(lines: &str) -> Self {
        Self::with_records(lines, &[])
    }

    /// The same with these records in its trail.
    pub(super) fn with_records(lines: &str, records: &[Value]) -> Self {
        let folder = TempDir::new().unwrap();
        let dir = folder.path().display().to_string();
        let text = format!(
            "hostname = \"mx1.example.org\"\nstate_dir = \"{dir}\"\n[xdp]\nmode = \"off\"\n\
             [audit]\nfile = \"{dir}/audit.jsonl\"\n[dns]\nresolvers = [\"127.0.0.1:9\"]\n{lines}"
        );
        let file = folder.path().join("portcullis.toml");
        fs::write(&file, text.replace("{dir}", &dir)).unwrap();
        let (config, _notices) = Config::load(&file).unwrap_or_else(|faults| panic!("{faults}"));
        let writer =
            audit::Writer::start(config.audit.clone(), Alarms::default(), Clock::System).unwrap();
        for record in records {
            writer.write(record);
        }
        writer.close();
        Self { sources: Arc::new(sources(config)), _folder: folder }
    }

    /// The same, as if no records were kept where they can be searched.
    pub(super) fn without_store(self) -> Self {
        let mut config = Config::clone(&self.sources.config.load());
        config.audit.store = None;
        self.sources.config.store(Arc::new(config));
        self
    }

    /// What the route at `path` answers: its status, and its JSON.
    pub(super) async fn get(
        &self,
        router: &OpenApiRouter<Arc<Sources>>,
        path: &str,
    ) -> (u16, Value) {
        self.ask(router, Method::GET, path, "").await
    }

    /// The same for any method.
    pub(super) async fn ask(
        &self,
        router: &OpenApiRouter<Arc<Sources>>,
        method: Method,
        path: &str,
        body: impl Into<Body>,
    ) -> (u16, Value) {
        let request = Request::builder().method(method).uri(path).body(body.into()).unwrap();
        self.send(router, request).await
    }

    /// The same for what is asked for by JSON.
    pub(super) async fn ask_for(
        &self,
        router: &OpenApiRouter<Arc<Sources>>,
        method: Method,
        path: &str,
        wanted: &Value,
    ) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .body(wanted.to_string().into());
        self.send(router, request.unwrap()).await
    }

    /// The same for any request.
    pub(super) async fn send(
        &self,
        router: &OpenApiRouter<Arc<Sources>>,
        request: Request<Body>,
    ) -> (u16, Value) {
        let path = request.uri().clone();
        let router = Router::from(router.clone()).with_state(Arc::clone(&self.sources));
        let response = router.oneshot(request).await.unwrap();
        answered(&path, response).await
    }

    /// What the whole API answers where it refuses.
    pub(super) async fn refused_by_api(
        &self,
        method: Method,
        path: &str,
        body: &str,
    ) -> (u16, Value) {
        let request = Request::builder().method(method).uri(path).body(Body::from(body.to_owned()));
        let response = api(Arc::clone(&self.sources)).oneshot(request.unwrap()).await.unwrap();
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{path}");
        answered(&path, response).await
    }
}

/// The status and the JSON of an answer.
async fn answered(path: &dyn Display, response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let octets = response.into_body().collect().await.unwrap().to_bytes();
    let json = serde_json::from_slice(&octets);
    (status, json.unwrap_or_else(|error| panic!("{path}: {status} {octets:?}: {error}")))
}

impl Drop for Site {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.sources.requests.send(Change::Stop).unwrap_or_default();
    }
}

fn sources(config: Config) -> Sources {
    let alarms = Alarms::default();
    let settings = config.engine_settings();
    let engine = Arc::new(Engine::new(settings, audit::Writer::none(), Clock::System));
    let (requests, inbox) = channel();
    let delivered = requests.clone();
    let fetching = Arc::new(Fetching::new(Handle::current(), Clock::System, move |delivery| {
        delivered.send(Change::Deliver(delivery)).unwrap_or_default();
    }));
    let mut refresher =
        Refresher::new(Arc::clone(&engine), &config.xdp, alarms.clone(), Clock::System);
    refresher.resume_lists(&config.state_dir);
    refresher.fetch_by(Arc::clone(&fetching));
    refresher.reload(config.sources());
    let (rules, attachments) = (refresher.status(), refresher.attachments());
    std::thread::spawn(move || refresher.run(&inbox));
    let asker = Asker::new(dns::resolver(&config.dns).unwrap(), config.dns.budget);
    let (folder, held) = (&config.quarantine.folder, config.quarantine.settings.clone());
    Sources {
        started: Instant::now(),
        clock: ClockWatch::begin(),
        levels: Levels::silent(),
        engine,
        rules,
        xdp: config.xdp.clone(),
        attachments,
        fronts: Fronts::default(),
        top: TopTalkers::new(Clock::System),
        fetching,
        zones: Zones::new(asker, alarms.clone(), Clock::System, |_event| {}),
        quarantine: Quarantine::open(folder, held, alarms.clone(), Clock::System),
        rights: rights::Report::new(&Confinement::Off),
        alarms,
        live: Live::default(),
        stop: tokio::sync::watch::channel(None).1,
        memory: Memory {
            state_dir: config.state_dir.clone(),
            audit: Some(config.audit.file.clone()),
        },
        requests,
        config: ArcSwap::from_pointee(config),
    }
}
