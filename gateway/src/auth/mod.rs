//! Who a message comes from, as far as SPF and DKIM prove it.
/// STUB.
#[derive(Clone, Debug)]
pub struct Authenticator;
/// STUB.
#[derive(Clone, Debug)]
pub enum Spf {
    Pass(String),
    NotPass(&'static str),
    Fault,
}
impl Authenticator {
    /// STUB.
    pub async fn spf(
        &self,
        _client: std::net::IpAddr,
        _helo: &str,
        _sender: &str,
        _hostname: &str,
        _within: std::time::Duration,
    ) -> Spf {
        Spf::Fault
    }
    /// STUB.
    pub async fn dkim(&self, _message: &[u8], _within: std::time::Duration) -> Vec<String> {
        Vec::new()
    }
}
