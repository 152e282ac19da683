//! size-5: how does the MSS follow from the MTU?

use super::sizes::observe;
use super::{Claim, Evidence, ExperimentError, scenario};

pub(super) const CLAIM: Claim = Claim {
    id: "size-5",
    text: "MSS = MTU - IP header - TCP header (1500 -> 1460 over IPv4, 1440 over IPv6), minus the options in every segment \
           (timestamps: 1448).",
    setting: "An upload of 100 KB: the MSS in the SYN and the largest payload, by IP version, MTU and timestamps.",
    experiment,
};

fn experiment() -> Result<Evidence, ExperimentError> {
    let mut evidence = Evidence::default();
    for (ip, mtu, timestamps) in
        [(4, 1_500, true), (4, 1_500, false), (6, 1_500, true), (4, 9_000, true), (6, 1_280, true)]
    {
        let set = [format!("ip={ip}"), format!("path.mtu={mtu}"), format!("client.timestamps={timestamps}")];
        let set: Vec<&str> = set.iter().map(String::as_str).collect();
        let (_, [client, _]) = observe(&scenario("kind = \"bulk\"\nbytes = \"100KB\"", &set)?)?;
        let mss = mtu - if ip == 4 { 40 } else { 60 };
        let payload = mss - if timestamps { 12 } else { 0 };
        let with = if timestamps { "with" } else { "without" };
        evidence.row(
            format!("IPv{ip}, MTU {mtu}, {with} timestamps"),
            format!("MSS {mss}, payload {payload}"),
            format!("MSS {}, payload {}", client.announced_mss.unwrap_or(0), client.largest_payload),
            client.announced_mss.map(i32::from) == Some(mss) && client.largest_payload == payload as usize,
        );
    }
    Ok(evidence)
}
