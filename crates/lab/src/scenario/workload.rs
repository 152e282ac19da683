//! What do the applications of a scenario say, and when? Workloads: conversations over TCP in the end, or datagrams over UDP.

use super::Scenario;
use crate::conversation::{Conversation, Side, Trigger, Turn, Write};
use narrows_stack::knob::{self, Value};
use std::borrow::Cow;
use std::time::Duration;

/// What one or several connections between two hosts are for.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// Its name.
    pub name: String,
    /// The host that opens the connections.
    pub client: String,
    /// The host that accepts them.
    pub server: String,
    /// Where the server listens; connection number n (from 0) has this port + n.
    pub port: u16,
    /// How many connections.
    pub connections: u16,
    /// When the first one is opened.
    pub start: Duration,
    /// How much later each further one is opened.
    pub every: Duration,
    /// How long either program waits while nothing moves before it gives a connection up; `None`: for ever.
    pub patience: Option<Duration>,
    /// What is said.
    pub kind: WorkloadKind,
}

/// What is said on a connection, or sent without one.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkloadKind {
    /// One side sends as fast as it may, and closes.
    Bulk {
        /// How much.
        bytes: u64,
        /// Which way.
        direction: BulkDirection,
    },
    /// The client asks, the server answers, again and again; the client closes.
    RequestResponse(RequestResponse),
    /// As written out.
    Conversation(Conversation),
    /// The client sends datagrams at a steady pace over UDP; nobody answers.
    Datagrams(Datagrams),
}

/// Datagrams at a steady pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagrams {
    /// How many.
    pub count: u64,
    /// The payload of each, bytes, from [`SMALLEST`](crate::datagrams::SMALLEST) to [`LARGEST`](Datagrams::LARGEST).
    pub size: u32,
    /// How much later each further one is sent.
    pub interval: Duration,
}

impl Datagrams {
    /// The largest payload of a UDP datagram over IPv4, bytes (RFC 768, RFC 791).
    pub const LARGEST: u32 = 65_507;
}

impl Default for Datagrams {
    /// A thousand that just fit Ethernet, one each 10 ms.
    fn default() -> Datagrams {
        Datagrams { count: 1_000, size: 1_472, interval: Duration::from_millis(10) }
    }
}

/// Which side of a bulk transfer sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BulkDirection {
    /// The client.
    #[default]
    Upload,
    /// The server.
    Download,
}

/// Requests and answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestResponse {
    /// How many.
    pub requests: u32,
    /// The client's writes of one request, bytes.
    pub request: Vec<u32>,
    /// The server's writes of one answer, bytes.
    pub answer: Vec<u32>,
    /// How long the client takes between an answer and its next request.
    pub client_think: Duration,
    /// How long the server takes between a request and its answer.
    pub server_think: Duration,
    /// How long either side takes between two writes of one message.
    pub gap: Duration,
}

impl Default for RequestResponse {
    /// One request of 100 bytes, one answer of 1000, no thinking.
    fn default() -> RequestResponse {
        RequestResponse {
            requests: 1,
            request: vec![100],
            answer: vec![1_000],
            client_think: Duration::ZERO,
            server_think: Duration::ZERO,
            gap: Duration::ZERO,
        }
    }
}

impl Workload {
    /// A workload with one connection between the hosts `client` and `server` on port 7000.
    #[must_use]
    pub fn new(name: &str, kind: WorkloadKind) -> Workload {
        Workload {
            name: name.to_owned(),
            client: "client".to_owned(),
            server: "server".to_owned(),
            port: 7_000,
            connections: 1,
            start: Duration::ZERO,
            every: Duration::ZERO,
            patience: None,
            kind,
        }
    }

    /// What is said on each connection, the knobs of the hosts' applications left aside; `None` where there is no connection.
    #[must_use]
    pub fn conversation(&self) -> Option<Cow<'_, Conversation>> {
        Some(match &self.kind {
            WorkloadKind::Bulk { bytes, direction } => Cow::Owned(bulk(*bytes, *direction)),
            WorkloadKind::RequestResponse(asking) => Cow::Owned(request_response(asking)),
            WorkloadKind::Conversation(conversation) => Cow::Borrowed(conversation),
            WorkloadKind::Datagrams(_) => return None,
        })
    }

    /// What is sent without a connection, the size as the client's knob `datagram_size` has it; `None` where there is one.
    #[must_use]
    pub fn datagrams_in(&self, scenario: &Scenario) -> Option<Datagrams> {
        let WorkloadKind::Datagrams(datagrams) = self.kind else { return None };
        let knob = scenario.host(&self.client).and_then(|host| host.knob("datagram_size"));
        let size = knob.and_then(|text| text.parse().ok()).unwrap_or(datagrams.size);
        Some(Datagrams { size, ..datagrams })
    }

    /// What is said with the applications' knobs turned as the scenario's hosts have them: `coalesce_writes`,
    /// `client_think_ms`, `server_think_ms`; `None` where there is no connection.
    #[must_use]
    pub fn conversation_in(&self, scenario: &Scenario) -> Option<Conversation> {
        let mut conversation = self.conversation()?.into_owned();
        for side in [Side::Client, Side::Server] {
            let (host, think_knob) = match side {
                Side::Client => (&self.client, "client_think_ms"),
                Side::Server => (&self.server, "server_think_ms"),
            };
            let Some(host) = scenario.host(host) else { continue };
            if host.knob("coalesce_writes") == Some("true") {
                coalesce(&mut conversation, side);
            }
            let think = host.knob(think_knob).and_then(|text| knob::find(think_knob)?.parse(text).ok());
            if let Some(Value::Duration(think)) = think {
                let turns = conversation.turns.iter_mut().filter(|turn| turn.side == side);
                turns.filter(|turn| turn.trigger != Trigger::Connected).for_each(|turn| turn.think = think);
            }
        }
        Some(conversation)
    }
}

/// Each of the side's messages becomes one write, when its last piece is ready.
fn coalesce(conversation: &mut Conversation, side: Side) {
    for turn in conversation.turns.iter_mut().filter(|turn| turn.side == side && turn.writes.len() > 1) {
        let bytes = u32::try_from(turn.bytes()).unwrap_or(u32::MAX);
        let gap = turn.writes.iter().map(|write| write.gap).sum();
        let gap_latest = turn.writes.iter().map(|write| write.gap_latest).sum();
        turn.writes = vec![Write { bytes, gap, gap_latest }];
    }
}

fn write(bytes: u32, gap: Duration) -> Write {
    Write { bytes, gap, gap_latest: gap }
}

fn bulk(bytes: u64, direction: BulkDirection) -> Conversation {
    /// Whole multiples of what a player hands over at once.
    const LARGEST_WRITE: u32 = 1 << 30;
    let side = match direction {
        BulkDirection::Upload => Side::Client,
        BulkDirection::Download => Side::Server,
    };
    let mut writes = Vec::new();
    let mut left = bytes;
    while left > 0 {
        let now = left.min(u64::from(LARGEST_WRITE)) as u32;
        writes.push(write(now, Duration::ZERO));
        left -= u64::from(now);
    }
    let turn = Turn { side, trigger: Trigger::Connected, think: Duration::ZERO, writes };
    Conversation { turns: vec![turn], close: Some((side, Duration::ZERO)), cut: false }
}

fn request_response(asking: &RequestResponse) -> Conversation {
    let pieces = |bytes: &[u32]| -> Vec<Write> {
        let gap = |number| if number == 0 { Duration::ZERO } else { asking.gap };
        bytes.iter().enumerate().map(|(number, &bytes)| write(bytes, gap(number))).collect()
    };
    let (request, answer) = (pieces(&asking.request), pieces(&asking.answer));
    let total = |bytes: &[u32]| bytes.iter().map(|&bytes| u64::from(bytes)).sum::<u64>();
    let (request_bytes, answer_bytes) = (total(&asking.request), total(&asking.answer));
    let mut turns = Vec::with_capacity(2 * asking.requests as usize);
    for number in 0..u64::from(asking.requests) {
        let (trigger, think) = match number {
            0 => (Trigger::Connected, Duration::ZERO),
            _ => (Trigger::Received(answer_bytes * number), asking.client_think),
        };
        turns.push(Turn { side: Side::Client, trigger, think, writes: request.clone() });
        turns.push(Turn {
            side: Side::Server,
            trigger: Trigger::Received(request_bytes * (number + 1)),
            think: asking.server_think,
            writes: answer.clone(),
        });
    }
    Conversation { turns, close: Some((Side::Client, Duration::ZERO)), cut: false }
}
