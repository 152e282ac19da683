//! size-10: what do jumbo frames save, and what takes it away?

use super::sizes::{narrow, observe};
use super::{Claim, Evidence, ExperimentError, scenario};

pub(super) const CLAIM: Claim = Claim {
    id: "size-10",
    text: "Jumbo frames: 9000 instead of 1500 means about 6 times fewer packets and ACKs; one small link on the path takes it all away.",
    setting: "An upload of 10 MB with 1500 and 9000 on every link, and with 9000 on all but one of 1500.",
    experiment,
};

const UPLOAD: &str = "kind = \"bulk\"\nbytes = \"10MB\"";

fn experiment() -> Result<Evidence, ExperimentError> {
    let mut evidence = Evidence::default();
    let straight = |mtu: &str| observe(&scenario(UPLOAD, &["path.delay=1ms", "path.rate=1Gbit/s", mtu])?);
    let (_, small) = straight("path.mtu=1500")?;
    let (_, jumbo) = straight("path.mtu=9000")?;
    let packets = small[0].packets as f64 / jumbo[0].packets as f64;
    evidence.row(
        "packets, 1500 to 9000",
        "6 times",
        format!("{packets:.2} times"),
        (5.5..6.6).contains(&packets),
    );
    let acks = small[1].bare as f64 / jumbo[1].bare as f64;
    evidence.row("ACKs, 1500 to 9000", "6 times", format!("{acks:.2} times"), (4.5..7.5).contains(&acks));
    let mixed = ["lan.mtu=9000", "hosting.mtu=9000", "middle.mtu=1500", "middle.rate=1Gbit/s"];
    let (_, mixed) = observe(&narrow(UPLOAD, &mixed)?)?;
    let packets = mixed[0].packets as f64 / small[0].packets as f64;
    evidence.row(
        "packets with one link of 1500, to those with 1500 everywhere",
        "as many",
        format!("{packets:.2} times"),
        (0.98..1.05).contains(&packets),
    );
    Ok(evidence)
}
