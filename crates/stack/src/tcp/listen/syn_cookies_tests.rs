//! What does a cookie tell, to whom, and for how long?

use super::*;
use narrows_wire::Timestamps;
use std::net::SocketAddr;

fn ends(remote: &str) -> FourTuple {
    let remote: SocketAddr = remote.parse().expect("an address");
    let local = if remote.is_ipv6() { "[fd00::1]:80" } else { "10.0.0.1:80" };
    FourTuple { local: local.parse().expect("an address"), remote }
}

fn header(flags: TcpFlags, options: TcpOptions) -> TcpHeader {
    TcpHeader {
        source_port: 4000,
        destination_port: 80,
        seq: Seq(5001),
        ack: Seq(77),
        flags,
        window: 502,
        urgent: 0,
        options,
    }
}

const CLIENT: Seq = Seq(5000);

#[test]
fn a_cookie_tells_the_largest_mss_of_the_table_that_is_not_above_the_one_announced() {
    let jar = CookieJar::new(1);
    let now = Instant::from_millis(1_234_567);
    let told = |tuple: &FourTuple, mss| {
        jar.mss(now, tuple, CLIENT, jar.sequence(now, tuple, CLIENT, mss)).expect("one of ours")
    };
    let v4 = ends("10.0.0.2:4000");
    let announced = [48, 536, 1299, 1300, 1439, 1440, 1460, 9000];
    assert_eq!(announced.map(|mss| told(&v4, mss)), [536, 536, 536, 1300, 1300, 1440, 1460, 1460]);
    let v6 = ends("[fd00::2]:4000");
    assert_eq!([1000, 1220, 1440, 8940].map(|mss| told(&v6, mss)), [1220, 1220, 1440, 8940]);
}

#[test]
fn a_cookie_lives_for_one_to_two_minutes() {
    let (jar, tuple) = (CookieJar::new(1), ends("10.0.0.2:4000"));
    for (made, last, first_too_late) in [(0, 119_999, 120_000), (59_999, 119_999, 120_000)] {
        let cookie = jar.sequence(Instant::from_millis(made), &tuple, CLIENT, 1460);
        assert_eq!(jar.mss(Instant::from_millis(last), &tuple, CLIENT, cookie), Some(1460));
        assert_eq!(jar.mss(Instant::from_millis(first_too_late), &tuple, CLIENT, cookie), None);
    }
    // Its count of minutes has eight bits: after their circle another key of the minute rules.
    let cookie = jar.sequence(Instant::ZERO, &tuple, CLIENT, 1460);
    assert_eq!(jar.mss(Instant::from_millis(256 * 60_000), &tuple, CLIENT, cookie), None);
}

#[test]
fn a_cookie_is_good_for_its_ends_its_client_and_its_host_only() {
    let (jar, tuple) = (CookieJar::new(1), ends("10.0.0.2:4000"));
    let now = Instant::from_millis(10);
    let cookie = jar.sequence(now, &tuple, CLIENT, 1460);
    assert_eq!(jar.mss(now, &ends("10.0.0.2:4001"), CLIENT, cookie), None);
    assert_eq!(jar.mss(now, &ends("10.0.0.3:4000"), CLIENT, cookie), None);
    assert_eq!(jar.mss(now, &tuple, CLIENT + 10, cookie), None);
    assert_eq!(CookieJar::new(2).mss(now, &tuple, CLIENT, cookie), None);
}

/// Four rows of a table and two minutes of 2³² numbers: one guess in 2²⁹ is right.
#[test]
fn guessed_numbers_are_hardly_ever_cookies() {
    let (jar, tuple) = (CookieJar::new(1), ends("10.0.0.2:4000"));
    let mut random = Random::new(3);
    let right = (0..200_000).filter(|_| {
        let guess = Seq(random.next_u32());
        jar.mss(Instant::from_millis(10), &tuple, CLIENT, guess).is_some()
    });
    assert_eq!(right.count(), 0);
}

#[test]
fn the_timestamp_brings_back_scale_sack_and_ecn_and_is_never_later_than_now() {
    let all = TcpOptions { sack_permitted: true, ..TcpOptions::default() };
    let cases = [
        (Some(0), false, false),
        (Some(7), true, false),
        (Some(14), true, true),
        (None, true, true),
        (None, false, false),
    ];
    for (scale, sack, ecn) in cases {
        for clock in [0, 1, 62, 63, 64, 100_000, u32::MAX] {
            let offset = 0x9e37_79b9_u32;
            let mut syn_ack = header(TcpFlags::SYN | TcpFlags::ACK, TcpOptions::default());
            syn_ack.options.sack_permitted = sack;
            if ecn {
                syn_ack.flags |= TcpFlags::ECE;
            }
            let value = offset.wrapping_add(clock);
            let told = timestamp(value, offset, scale, &syn_ack);
            assert!(value.wrapping_sub(told) < 128, "{clock}: {}", value.wrapping_sub(told));
            let mut ack = header(TcpFlags::ACK, all.clone());
            ack.options.timestamps = Some(Timestamps { value: 9, echo: told });
            let syn = told_syn(&ack, offset, 1300, &Knobs::default()).expect("nothing is turned off");
            assert_eq!((syn.seq, syn.options.mss), (Seq(5000), Some(1300)));
            assert_eq!((syn.options.window_scale, syn.options.sack_permitted), (scale, sack));
            assert_eq!(syn.flags.contains(TcpFlags::ECE | TcpFlags::CWR), ecn);
        }
    }
}

#[test]
fn without_timestamps_only_the_mss_is_told() {
    let options =
        TcpOptions { mss: Some(1400), window_scale: Some(7), sack_permitted: true, ..TcpOptions::default() };
    let syn = header(TcpFlags::SYN | TcpFlags::ECE | TcpFlags::CWR, options.clone());
    let kept = reduced(&syn, true);
    assert_eq!(kept.options, TcpOptions { mss: Some(1400), ..TcpOptions::default() });
    assert_eq!(kept.flags, TcpFlags::SYN);
    let stamped = Some(Timestamps { value: 1, echo: 0 });
    let syn = header(syn.flags, TcpOptions { timestamps: stamped, ..options });
    assert_eq!(reduced(&syn, true), syn);
    assert_eq!(reduced(&syn, false).options, kept.options, "this host has none");
    let told = told_syn(&header(TcpFlags::ACK, TcpOptions::default()), 0, 536, &Knobs::default());
    assert_eq!(told.expect("no options").options, TcpOptions { mss: Some(536), ..TcpOptions::default() });
}

#[test]
fn options_that_the_host_has_turned_off_meanwhile_are_not_believed() {
    let mut ack = header(TcpFlags::ACK, TcpOptions::default());
    ack.options.timestamps = Some(Timestamps { value: 1, echo: SACK | 7 });
    let with = |change: fn(&mut Knobs)| {
        let mut knobs = Knobs::default();
        change(&mut knobs);
        told_syn(&ack, 0, 1460, &knobs)
    };
    assert!(with(|_| {}).is_some());
    assert!(with(|knobs| knobs.sack = false).is_none());
    assert!(with(|knobs| knobs.window_scaling = false).is_none());
    assert!(with(|knobs| knobs.timestamps = false).is_none());
}
