//! A real browser without a screen, on one of the hosts of a test, told by `WebDriver` what to do.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, Response, header};
use serde_json::{Value, json};
use thirtyfour::error::{WebDriverError, WebDriverResult};
use thirtyfour::session::http::{Body, HttpClient};
use thirtyfour::{
    By, ChromiumLikeCapabilities as _, DesiredCapabilities, Key, WebDriver, WebElement,
};
use tokio::runtime::{Builder, Runtime};

use super::http::Http;

use harness::deadline::wait_for;
use harness::netns::NetNs;

/// Where the driver listens; each browser has a host of its own.
const DRIVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9515);
/// How long a page may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// The programs that a browser needs.
pub(crate) const PROGRAMS: [&str; 2] = ["chromium", "chromedriver"];

/// A browser; it ends with this.
pub(crate) struct Browser {
    runtime: Runtime,
    driver: WebDriver,
    client: Client,
    process: Child,
    folder: tempfile::TempDir,
}

impl std::fmt::Debug for Browser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Browser").field("process", &self.process.id()).finish_non_exhaustive()
    }
}

/// Connects within the host of the browser.
#[derive(Clone, Debug)]
struct Client(Http);

impl Browser {
    /// Starts one on `host`, in a folder of its own.
    pub(crate) fn start(host: &NetNs) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let process = quiet(&mut host.command("chromedriver"))
            .arg(format!("--port={}", DRIVER.port()))
            .env("HOME", folder.path())
            .spawn()
            .context("chromedriver")?;
        let client = Client(Http::new(host, DRIVER));
        wait_for("the driver of the browser", PATIENCE, || Ok(client.0.connect().ok()))?;
        let mut wanted = DesiredCapabilities::chrome();
        for argument in [
            "--headless=new",
            // Root may not use it, and the pages are our own.
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            // There is no network but ours: it waits for nobody.
            "--no-proxy-server",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--force-color-profile=srgb",
            // Pictures would be short by one, and what is too wide by less would not show.
            "--hide-scrollbars",
            "--window-size=1280,1100",
        ] {
            wanted.add_arg(argument)?;
        }
        wanted.add_arg(&format!("--user-data-dir={}", folder.path().join("profile").display()))?;
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let driver = runtime.block_on(async {
            WebDriver::builder(format!("http://{DRIVER}"), wanted).client(client.clone()).await
        })?;
        Ok(Self { runtime, driver, client, process, folder })
    }

    /// Opens a page.
    pub(crate) fn open(&self, url: &str) -> Result<()> {
        self.runtime.block_on(self.driver.goto(url)).with_context(|| url.to_owned())
    }

    /// The address of the page.
    pub(crate) fn address(&self) -> Result<String> {
        Ok(self.runtime.block_on(self.driver.current_url())?.to_string())
    }

    /// All text of the page that can be seen.
    pub(crate) fn text(&self) -> Result<String> {
        self.runtime.block_on(async { Ok(self.driver.find(By::Css("body")).await?.text().await?) })
    }

    /// The text of what a CSS selector finds.
    pub(crate) fn text_of(&self, css: &str) -> Result<String> {
        self.runtime.block_on(async { Ok(self.find(css).await?.text().await?) })
    }

    /// What a field has now.
    pub(crate) fn value_of(&self, css: &str) -> Result<String> {
        let value = self
            .runtime
            .block_on(async { self.find(css).await?.value().await.map_err(Into::into) });
        value.and_then(|value: Option<String>| value.with_context(|| format!("{css} is no field")))
    }

    /// Presses a key there, that many times.
    pub(crate) fn press(&self, css: &str, key: Key, times: usize) -> Result<()> {
        let keys = String::from(key.value()).repeat(times);
        self.runtime.block_on(async { Ok(self.find(css).await?.send_keys(keys).await?) })
    }

    /// Clicks on it.
    pub(crate) fn click(&self, css: &str) -> Result<()> {
        self.runtime.block_on(async {
            let element = self.find(css).await?;
            element.scroll_into_view().await?;
            element.click().await?;
            Ok(())
        })
    }

    /// Types into it, in the place of what was there.
    pub(crate) fn type_into(&self, css: &str, text: &str) -> Result<()> {
        self.runtime.block_on(async {
            let element = self.find(css).await?;
            element.clear().await?;
            element.send_keys(text).await?;
            Ok(())
        })
    }

    /// Chooses the option with that value.
    pub(crate) fn choose(&self, css: &str, value: &str) -> Result<()> {
        self.click(&format!("{css} option[value='{value}']"))
    }

    /// Agrees to what the page asks.
    pub(crate) fn agree(&self) -> Result<()> {
        Ok(self.runtime.block_on(self.driver.accept_alert())?)
    }

    /// What a script returns.
    pub(crate) fn script(&self, script: &str) -> Result<Value> {
        let returned = self.runtime.block_on(self.driver.execute(script, Vec::new()))?;
        Ok(returned.json().clone())
    }

    /// What a script gives to the function that is its last argument.
    pub(crate) fn script_later(&self, script: &str) -> Result<Value> {
        let returned = self.runtime.block_on(self.driver.execute_async(script, Vec::new()))?;
        Ok(returned.json().clone())
    }

    /// Waits until the text that can be seen has `part`.
    pub(crate) fn wait_for_text(&self, part: &str) -> Result<()> {
        wait_for(&format!("`{part}` on the page"), PATIENCE, || {
            Ok(self.text().is_ok_and(|text| text.contains(part)).then_some(()))
        })
        .with_context(|| format!("{:?}: {}", self.address(), self.text().unwrap_or_default()))
    }

    /// The size of the window.
    pub(crate) fn resize(&self, width: u32, height: u32) -> Result<()> {
        Ok(self.runtime.block_on(self.driver.set_window_rect(0, 0, width, height))?)
    }

    /// Whether pages are dark.
    pub(crate) fn set_dark(&self, is_dark: bool) -> Result<()> {
        let scheme = if is_dark { "dark" } else { "light" };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.developer("Emulation.setEmulatedMedia", &features).map(drop)
    }

    /// Asks the browser in the language of its developer tools.
    fn developer(&self, command: &str, parameters: &Value) -> Result<Value> {
        let path = format!("/session/{}/goog/cdp/execute", self.driver.session_id());
        let body = json!({"cmd": command, "params": parameters});
        let request = Request::post(format!("http://{DRIVER}{path}")).body(Body::Json(&body))?;
        let answer = self.runtime.block_on(self.client.send(request))?;
        Ok(serde_json::from_slice(answer.body())?)
    }

    /// Writes a picture of the whole page.
    pub(crate) fn picture(&self, file: &Path) -> Result<()> {
        self.picture_of(&json!({"captureBeyondViewport": true, "format": "png"}), file)
    }

    /// Writes a picture of the page down to the end of what a CSS selector finds first, somewhat smaller than it is: who reads it
    /// on a page of documentation sees no more, and waits less.
    pub(crate) fn picture_down_to(&self, css: &str, file: &Path) -> Result<()> {
        let clip = self.script(&format!(
            "let end = document.querySelector('{css}').getBoundingClientRect().bottom + scrollY + 16;
            return {{x: 0, y: 0, width: innerWidth, height: end, scale: 0.85}}"
        ))?;
        let part = json!({"captureBeyondViewport": true, "format": "png", "clip": clip});
        self.picture_of(&part, file)
    }

    fn picture_of(&self, what: &Value, file: &Path) -> Result<()> {
        let answer = self.developer("Page.captureScreenshot", what)?;
        let coded = answer.pointer("/value/data").and_then(Value::as_str).context("no picture")?;
        let octets = data_encoding::BASE64.decode(coded.as_bytes())?;
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(file, octets).with_context(|| file.display().to_string())
    }

    async fn find(&self, css: &str) -> Result<WebElement> {
        self.driver.find(By::Css(css)).await.map_err(|error| anyhow!("{css}: {error}"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends the browser; where it cannot, it ends with the namespace's processes below.
        let driver = self.driver.clone();
        drop(self.runtime.block_on(async { tokio::time::timeout(PATIENCE, driver.quit()).await }));
        drop(self.process.kill());
        drop(self.process.wait());
        let _folder = self.folder.path();
    }
}

impl Client {
    async fn ask(&self, request: Request<Body<'_>>) -> Result<Response<Bytes>> {
        let (mut head, body) = request.into_parts();
        let octets = match body {
            Body::Empty => Vec::new(),
            Body::Json(json) => serde_json::to_vec(json)?,
        };
        head.headers.insert(header::HOST, header::HeaderValue::from_static("localhost"));
        let json = header::HeaderValue::from_static("application/json");
        head.headers.insert(header::CONTENT_TYPE, json);
        let path = head.uri.path_and_query().context("no path")?.as_str().parse()?;
        head.uri = path;
        self.0.ask(Request::from_parts(head, Full::new(Bytes::from(octets)))).await
    }
}

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn send(&self, request: Request<Body<'_>>) -> WebDriverResult<Response<Bytes>> {
        let answer = self.ask(request).await;
        answer.map_err(|error| WebDriverError::HttpError(format!("{error:#}")))
    }

    async fn new(&self) -> Arc<dyn HttpClient> {
        Arc::new(self.clone())
    }
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}
