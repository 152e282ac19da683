//! Debug.
use narrows_trace::{AnalyzerOptions, examine, read::Capture};
fn main() {
    for f in std::env::args().skip(1) {
        let e = examine(Capture::open(&f).unwrap(), AnalyzerOptions::default(), &mut |_| {});
        for c in e.analysis.connections {
            println!("{f} #{} {} > {} {:?} rtt {:?} dur {:?} exch {} {:?} err {:?}", c.number, c.client, c.server, c.vantage, c.round_trip.path, c.duration, c.exchanges, c.mean_exchange, e.error);
            println!("   looks {:?} hz {:?} ack {:?}", c.sides.iter().map(|s| s.looks_like).collect::<Vec<_>>(), c.sides.iter().map(|s| s.tick_hz).collect::<Vec<_>>(), c.sides.iter().map(|s| s.ack_timer).collect::<Vec<_>>());
            println!("   account {:?}", c.account);
            for f in &c.findings { println!("   finding {:?} {:?} {} {:?} {}", f.cause, f.side, f.count, f.lost, f.why); }
            let w = narrows_whatif::predict(&c, &[]).unwrap();
            if let Some(r) = w.replay { println!("   replay {:+.2}% dur {:?} exch {:?}", r.error*100., r.duration, r.exchange); }
            if let Some(r) = w.refused { println!("   refused {r}"); }
            for p in w.predictions { println!("   {} {}={} {:?}: dur {:?}->{:?} [{:?} {:?}] exch {:?} pk {:?}", p.turning.side.name(), p.turning.knob, p.turning.value, p.turning.by, p.duration.before, p.duration.after, p.duration.low, p.duration.high, p.exchange, p.packets); }
            if std::env::var("CONV").is_ok() { for t in c.conversation.turns.iter().take(12) { println!("     {:?}", t); } println!("    close {:?}", c.conversation.close); }
        }
    }
}
