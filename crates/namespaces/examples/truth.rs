//! scratch
use narrows_namespaces::*;
fn main() {
    let filter = std::env::args().nth(1).unwrap_or_default();
    let n: u32 = std::env::args().nth(2).map_or(3, |n| n.parse().unwrap());
    let mut out = Vec::new();
    for group in truth::groups() {
        let mut list = Vec::new();
        for s in group.scenarios.iter().filter(|s| s.title.contains(&filter) || group.title.contains(&filter)) {
            let o = CompareOptions { repetitions: n, ..CompareOptions::default() };
            match compare(s, o) {
                Ok(c) => {
                    let r = c.row("completion").unwrap();
                    let p = c.packets();
                    println!("{:55} {:9.2} {:9.2} {:+6.1}% | {:6} {:6} {:+6.1}% late {:?} {} {:?}", s.title, r.medians().0*1e3, r.medians().1*1e3, r.difference().unwrap()*100., p.medians().0, p.medians().1, p.difference().unwrap()*100., c.late.1, c.late_repetitions, r.linux.iter().map(|v| (v*1e4).round()/10.).collect::<Vec<_>>());
                    list.push(c);
                }
                Err(e) => println!("{}: {e}", s.title),
            }
        }
        out.push((group.title, list));
    }
    std::fs::write("/tmp/real/truth.md", truth::page(&out, "6.18", n)).unwrap();
}
