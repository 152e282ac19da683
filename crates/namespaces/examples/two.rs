//! scratch
use narrows_lab::scenario::Scenario;
use narrows_namespaces::*;
use std::time::Duration;
fn main() {
    let file = std::env::args().nth(1).unwrap();
    let n: u64 = std::env::args().nth(2).map_or(3, |n| n.parse().unwrap());
    let s = Scenario::from_toml(&file, &std::fs::read_to_string(&file).unwrap()).unwrap();
    let o = |seed| TakeOptions { seed, capture: true, awake: Duration::from_micros(200) };
    for i in 0..n {
        for (name, take) in [("ours", ours(&s, o(i))), ("linux", linux(&s, o(i)))] {
            match take {
                Err(e) => println!("{name}: {e}"),
                Ok(t) => {
                    let mean = t.exchanges.iter().sum::<Duration>() / (t.exchanges.len().max(1) as u32);
                    println!("{name:6} completion {:?} mean {mean:?} {:?}", t.completion, t.sent);
                    if let Some(w) = &t.wire { println!("   late median {:?} p99 {:?} max {:?}", w.late.quantile(0.5), w.late.quantile(0.99), w.late.max()); }
                    if i == 0 { std::fs::write(format!("/tmp/{name}.pcapng"), t.capture.unwrap()).unwrap(); }
                }
            }
        }
    }
}
