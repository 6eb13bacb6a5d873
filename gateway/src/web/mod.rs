//! The control centre: pages for people over the API, and the page for blocked senders.

mod access;
mod asked;
mod assets;
mod facts;
mod frame;
mod graph;
mod headers;
mod login;
mod notice;
mod pages;
mod parts;
mod public;
mod said;
mod server;
mod site;

pub use access::Token;
pub use public::Public;
pub use server::{Listening, serve};
pub use site::Site;
