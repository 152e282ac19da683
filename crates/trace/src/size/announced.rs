//! Which MSS did the host announce that sent this SYN, whatever the option says that arrived?
//!
//! Linux offers a first window of as many whole segments as fit into 64 KiB, in the MSS that it announces (less the 12 bytes
//! of timestamps where the peer's SYN has shown them, tcp_select_initial_window). A middlebox that rewrites the option
//! leaves the window alone.

use super::ETHERNET_MTU;
use narrows_wire::TcpOptions;

/// The MTUs that interfaces usually have: Ethernet and what is cut off it by the usual carriers, loopback left out. Where none of them
/// fits, another one below Ethernet's may.
const INTERFACE_MTUS: [u32; 10] = [9001, 9000, 8951, 8900, 1500, 1492, 1480, 1460, 1450, 1420];
const MOST_WINDOW: u32 = 65_535;
/// RFC 7323 Appendix A.
pub(crate) const TIMESTAMPS_BYTES: u32 = 12;

/// The MSS that the window shows where the option says less. `ip_and_tcp` is 40 or 60; `answers`: it is a SYN-ACK.
pub(crate) fn behind(
    options: &TcpOptions,
    window: u16,
    ip_and_tcp: u32,
    answers: bool,
    linux: bool,
) -> Option<u32> {
    let option = u32::from(options.mss?);
    if !linux {
        return None;
    }
    let stamps = if answers && options.timestamps.is_some() { TIMESTAMPS_BYTES } else { 0 };
    let quantum = |mss: u32| mss.checked_sub(stamps).filter(|&q| q > 0);
    // A small receive buffer holds fewer segments, and whole ones as well.
    if u32::from(window).is_multiple_of(quantum(option)?) {
        return None;
    }
    let whole =
        |mss: &u32| *mss > option && quantum(*mss).is_some_and(|q| MOST_WINDOW / q * q == u32::from(window));
    let usual = INTERFACE_MTUS.iter().map(|mtu| mtu - ip_and_tcp).find(whole);
    usual.or_else(|| (option + 1..=ETHERNET_MTU - ip_and_tcp).find(whole))
}

#[cfg(test)]
mod tests {
    use super::*;
    use narrows_wire::Timestamps;

    fn syn(mss: u16) -> TcpOptions {
        TcpOptions {
            mss: Some(mss),
            timestamps: Some(Timestamps { value: 1, echo: 0 }),
            ..TcpOptions::default()
        }
    }

    #[test]
    fn a_rewritten_option_does_not_fit_its_window() {
        assert_eq!(behind(&syn(1410), 64_240, 40, false, true), Some(1460));
        assert_eq!(behind(&syn(1410), 65_160, 40, true, true), Some(1460));
        assert_eq!(behind(&syn(1340), 64_800, 60, false, true), Some(1440));
    }

    #[test]
    fn any_interface_may_be_behind_it() {
        // 48 segments of 1360 bytes, from an interface of 1400; with timestamps 48 of 1348.
        assert_eq!(behind(&syn(1300), 65_280, 40, false, true), Some(1360));
        assert_eq!(behind(&syn(1300), 64_704, 40, true, true), Some(1360));
        assert_eq!(behind(&syn(1300), 26_000, 40, false, true), None, "20 segments of 1300 bytes");
    }

    #[test]
    fn an_option_that_fits_is_the_hosts_own() {
        assert_eq!(behind(&syn(1460), 64_240, 40, false, true), None);
        // advmss 1410 on the route: 46 segments of 1398 bytes.
        assert_eq!(behind(&syn(1410), 64_308, 40, true, true), None);
        assert_eq!(behind(&syn(8960), 62_636, 40, true, true), None);
    }

    #[test]
    fn other_systems_and_windows_say_nothing() {
        assert_eq!(behind(&syn(1410), 64_240, 40, false, false), None);
        assert_eq!(behind(&syn(1410), 29_200, 40, false, true), None);
        assert_eq!(behind(&TcpOptions::default(), 64_240, 40, false, true), None);
    }
}
