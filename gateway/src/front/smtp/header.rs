//! The header of a message as it goes on: with what we say of it, without what others say in our name.

use super::message::Message;
use super::session::Session;
use crate::clock::Timestamp;
use crate::policy::{Action, Decision};
use crate::smtp::{
    Protocol, Trace, fields, is_named, is_results_of, received_field, results_field, with_prefix,
};

impl Session {
    /// The header block for the next hop, with its empty line.
    pub(super) fn header(&self, message: &Message, decision: &Decision) -> Vec<u8> {
        let mut header = Vec::with_capacity(message.header.len() + 512);
        let config = &self.settings.header;
        if config.received {
            header.extend_from_slice(self.received(message, decision).as_bytes());
        }
        let hostname = &self.settings.hostname;
        if config.authentication_results {
            let (address, ptr) = (self.client.address.ip(), self.route().map(|route| &route.ptr));
            let field = results_field(hostname, address, ptr, decision);
            header.extend_from_slice(field.as_bytes());
        }
        if let Some(field) = decision.header() {
            let field = field.replace(char::is_control, "?");
            header.extend_from_slice(field.as_bytes());
            header.extend_from_slice(b"\r\n");
        }
        // What a sender wrote under our name is no word of ours.
        let is_forged = |field: &[u8]| {
            is_named(field, Decision::HEADER)
                || (config.authentication_results && is_results_of(field, hostname))
        };
        let is_tagged = decision.effective() == Action::Tag;
        let mut prefix = config.subject_prefix.as_deref().filter(|_prefix| is_tagged);
        for field in fields(&message.header).filter(|field| !is_forged(field)) {
            let is_end = !field.contains(&b':');
            if let Some(text) = prefix.filter(|_prefix| is_named(field, "Subject")) {
                prefix = None;
                header.extend_from_slice(&with_prefix(field, text).unwrap_or_default());
                continue;
            }
            if let (Some(text), true) = (prefix, is_end) {
                // There was no subject before the end of the header.
                prefix = None;
                header.extend_from_slice(format!("Subject: {}\r\n", text.trim_end()).as_bytes());
            }
            header.extend_from_slice(field);
        }
        header
    }

    /// How the message came here.
    fn received(&self, message: &Message, decision: &Decision) -> String {
        let hello = self.hello.as_ref();
        received_field(Trace {
            hello: hello.map_or("", |hello| &hello.name),
            address: self.client.address.ip(),
            ptr: self.route().map(|route| &route.ptr),
            hostname: &self.settings.hostname,
            protocol: Protocol {
                extended: hello.is_some_and(|hello| hello.extended),
                tls: self.stream.is_tls(),
                authenticated: self.is_authenticated(),
                utf8: message.mail.is_utf8(),
            },
            reference: &decision.reference,
            recipient: match message.envelope.recipients.as_slice() {
                [only] => Some(only),
                _ => None,
            },
            time: Timestamp::now(),
        })
    }
}
