use super::*;
use proptest::prelude::*;

fn emitted(options: &TcpOptions) -> Vec<u8> {
    let mut bytes = Vec::new();
    options.emit(&mut bytes);
    assert_eq!(bytes.len(), options.len());
    bytes
}

fn syn() -> TcpOptions {
    TcpOptions {
        mss: Some(1460),
        window_scale: Some(7),
        sack_permitted: true,
        timestamps: Some(Timestamps { value: 1, echo: 2 }),
        ..TcpOptions::default()
    }
}

fn order(options: &TcpOptions) -> String {
    crate::OptionOrder::of_bytes(&emitted(options)).to_string()
}

#[test]
fn the_order_is_that_of_linux() {
    assert_eq!(order(&syn()), "mss,sackOK,TS,nop,wscale");
    assert_eq!(order(&TcpOptions { timestamps: None, ..syn() }), "mss,nop,nop,sackOK,nop,wscale");
    let fast_open = FastOpen::new(&[7; 8], false);
    assert_eq!(order(&TcpOptions { fast_open, ..syn() }), "mss,sackOK,TS,nop,wscale,FO,nop,nop");
    let mut data = TcpOptions { timestamps: syn().timestamps, ..TcpOptions::default() };
    assert_eq!(order(&data), "nop,nop,TS");
    data.sack.push(Seq(1), Seq(2));
    assert_eq!(order(&data), "nop,nop,TS,nop,nop,sack");
}

#[test]
fn a_syn_has_the_bytes_of_linux() {
    let bytes = emitted(&syn());
    assert_eq!(bytes, [2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 3, 7]);
    assert_eq!(TcpOptions::parse(&bytes), Ok(syn()));
}

#[test]
fn more_sack_blocks_than_room_lose_the_last_ones() {
    let mut options = TcpOptions { timestamps: syn().timestamps, ..TcpOptions::default() };
    for n in 0..4 {
        assert!(options.sack.push(Seq(n), Seq(n + 1)));
    }
    assert!(!options.sack.push(Seq(9), Seq(10)));
    assert_eq!(options.sack_blocks_emitted(), 3);
    assert_eq!(options.len(), 40);
    let read = TcpOptions::parse(&emitted(&options)).unwrap();
    assert_eq!(read.sack.as_slice(), &options.sack.as_slice()[..3]);
}

#[test]
fn unknown_kinds_and_wrong_lengths_are_skipped() {
    // MPTCP (30), an MSS of the wrong length, an unknown experiment, a window scale that counts.
    let bytes = [30, 3, 9, 2, 3, 1, 254, 4, 1, 2, 1, 3, 3, 5, 0, 77];
    let options = TcpOptions::parse(&bytes).unwrap();
    assert_eq!(options, TcpOptions { window_scale: Some(5), ..TcpOptions::default() });
    let kinds: Vec<u8> = RawOptions::new(&bytes).map(|option| option.unwrap().kind).collect();
    assert_eq!(kinds, [30, 2, 254, 1, 3, 0]);
}

#[test]
fn damage_keeps_what_stands_before_it() {
    for tail in [&[8u8][..], &[8, 10, 0], &[8, 1, 0], &[8, 0, 0]] {
        let mut bytes = vec![4, 2];
        bytes.extend_from_slice(tail);
        let damaged = TcpOptions::parse(&bytes).unwrap_err();
        assert!(damaged.options.sack_permitted);
        assert_eq!((damaged.damage.kind, damaged.damage.offset), (8, 2));
        assert_eq!(damaged.damage.length, tail.get(1).copied());
    }
}

#[test]
fn fast_open_in_both_forms() {
    for experimental in [false, true] {
        for cookie in [&[][..], &[1, 2, 3, 4], &[5; 16]] {
            let fast_open = FastOpen::new(cookie, experimental);
            let options = TcpOptions { fast_open, ..syn() };
            let read = TcpOptions::parse(&emitted(&options)).unwrap();
            assert_eq!(read, options);
            assert_eq!(read.fast_open.map(|read| read.is_request()), Some(cookie.is_empty()));
        }
    }
    assert_eq!(FastOpen::new(&[0; 17], false), None);
    assert_eq!(
        emitted(&TcpOptions { fast_open: FastOpen::new(&[], true), ..TcpOptions::default() }),
        [254, 4, 0xf9, 0x89]
    );
}

pub(crate) fn any_options() -> impl Strategy<Value = TcpOptions> {
    let any_fast_open = (proptest::collection::vec(any::<u8>(), 0..=16), any::<bool>())
        .prop_map(|(cookie, experimental)| FastOpen::new(&cookie, experimental));
    (
        any::<Option<u16>>(),
        any::<Option<u8>>(),
        any::<bool>(),
        proptest::collection::vec(any::<(u32, u32)>(), 0..=4),
        any::<Option<(u32, u32)>>(),
        prop_oneof![Just(None), any_fast_open],
    )
        .prop_map(|(mss, window_scale, sack_permitted, blocks, timestamps, fast_open)| {
            let mut sack = SackBlocks::default();
            for (left, right) in blocks {
                sack.push(Seq(left), Seq(right));
            }
            let timestamps = timestamps.map(|(value, echo)| Timestamps { value, echo });
            TcpOptions { mss, window_scale, sack_permitted, sack, timestamps, fast_open, signed: false }
        })
}

proptest! {
    #[test]
    fn what_is_emitted_is_read_back(options in any_options()) {
        let bytes = emitted(&options);
        prop_assert!(bytes.len() <= TcpOptions::MAX_BYTES && bytes.len().is_multiple_of(4));
        let read = TcpOptions::parse(&bytes).unwrap();
        let mut expected = options.clone();
        expected.sack = SackBlocks::default();
        for &(left, right) in &options.sack.as_slice()[..options.sack_blocks_emitted()] {
            expected.sack.push(left, right);
        }
        if read.fast_open.is_none() && options.fast_open.is_some() {
            prop_assert!(bytes.len() + options.fast_open_len() > TcpOptions::MAX_BYTES);
            expected.fast_open = None;
        }
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn the_fast_path_reads_what_the_slow_one_reads(bytes in proptest::collection::vec(any::<u8>(), 0..60), fast in any::<bool>()) {
        let mut bytes = bytes;
        if fast {
            bytes.resize(12, 0);
            bytes[..4].copy_from_slice(&[1, 1, 8, 10]);
        }
        prop_assert_eq!(TcpOptions::parse(&bytes), TcpOptions::parse_each(&bytes));
    }

    #[test]
    fn raw_options_cover_the_bytes_without_overlap(bytes in proptest::collection::vec(0u8..12, 0..60)) {
        let covered: usize = RawOptions::new(&bytes)
            .map_while(Result::ok)
            .take_while(|option| option.kind != option_kind::END)
            .map(|option| if option.kind == option_kind::NOP { 1 } else { option.body.len() + 2 })
            .sum();
        prop_assert!(covered <= bytes.len());
    }
}
