//! Debug.
use narrows_trace::{AnalyzerOptions, examine, read::Capture};
use narrows_lab::*;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let e = examine(Capture::open(&a[1]).unwrap(), AnalyzerOptions::default(), &mut |_| {});
    let c = &e.analysis.connections[0];
    for t in c.conversation.turns.iter().take(300) { println!("{t:?}"); }
    let k = narrows_stack::Knobs::default();
    let mut cfg = PlayConfig::new(1, k.clone(), k, LinkConfig::with_delay(c.round_trip.path.unwrap()/2));
    cfg.record_packets = true;
    for kv in a.iter().skip(3) { let (s, v) = kv.split_once('.').unwrap(); let (n, v) = v.split_once('=').unwrap(); if s == "client" { cfg.client.knobs.set(n, v).unwrap() } else { cfg.server.knobs.set(n, v).unwrap() } }
    let p = play(&c.conversation, &cfg).unwrap();
    println!("{:?} {:?}", p.outcome, p.mean_exchange());
    for (t, q) in p.packets_at(if a[2].starts_with("s") { Side::Server } else { Side::Client }).iter().take(600) {
        if let narrows_wire::Transport::Tcp(h) = &q.packet.transport { println!("{:.3} {:?} {:?} seq {} ack {} len {} win {}", t.as_secs_f64()*1e3, q.from, h.flags, h.seq.0, h.ack.0, q.packet.payload.len(), h.window); }
    }
}
