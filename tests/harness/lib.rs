//! What the integration tests and the demo stand on: network namespaces, mail peers, the daemon as a process.
//!
//! It knows the product only by its binary and its wire formats, and uses threads and blocking sockets, so that a
//! test can hold every peer still for as long as it likes.

pub mod axe;
pub mod cleanup;
pub mod clients;
pub mod crowdsec;
pub mod daemon;
pub mod deadline;
pub mod dialogue;
pub mod dns_record;
pub mod dns_script;
pub mod dns_server;
pub mod dns_wire;
pub mod dns_zones;
pub mod exim;
pub mod fail2ban;
pub mod faketime;
pub mod feed_server;
pub mod handed_over;
pub mod mail_server;
pub mod memory;
pub mod needs;
pub mod netns;
pub mod old_kernel;
pub mod opensmtpd;
pub mod packet;
pub mod postfix;
pub mod prometheus;
pub mod rbldnsd;
mod running_server;
pub mod site;
pub mod smtp_client;
pub mod smtp_server;
mod smtp_session;
pub mod stage;
pub mod syn_burst;
pub mod xdp_return;
