//! A world of hosts and links in virtual time.

pub mod conversation;

pub use conversation::{Conversation, Side, Trigger, Turn, Write};
