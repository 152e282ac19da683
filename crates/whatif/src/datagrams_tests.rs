use super::*;
use narrows_lab::capture::PcapNg;
use narrows_lab::{End, LinkId};
use narrows_trace::read::Capture;
use narrows_trace::{AnalyzerOptions, examine};

/// A capture at the server of datagrams of 8000 bytes in the lab, over a link that loses packets.
fn captured(loss: Loss, count: u64, seed: u64) -> DatagramFlow {
    let model = Model {
        ipv6: false,
        count,
        size: 8_000,
        interval: Duration::from_millis(5),
        mtu: 1_500,
        pieces: (1, 0),
    };
    let mut scenario = model.scenario(8_000, 0.0, seed);
    if let WorkloadKind::Datagrams(datagrams) = &mut scenario.workloads[0].kind {
        datagrams.count = count;
    }
    scenario.links[0].config.forward.loss = loss;
    scenario.links[0].config.forward.delay = Duration::from_millis(5);
    let mut world = scenario.build().unwrap();
    let capture = world.world.add_recorder(PcapNg::new(Vec::new()));
    world.world.tap(capture, LinkId(0), End::Second);
    world.run();
    let bytes = world.world.take_recorder::<PcapNg<Vec<u8>>>(capture).unwrap().finish().unwrap();
    let capture = Capture::from_reader(std::io::Cursor::new(bytes), "lab.pcapng").unwrap();
    examine(capture, AnalyzerOptions::default(), &mut |_| {}).datagram_flows.remove(0)
}

#[test]
fn datagrams_that_fit_lose_what_their_packets_lose_and_cost_fewer_packets_for_what_arrives() {
    let flow = captured(Loss::Random(0.04), 1_500, 3);
    let all = predict_datagrams(&flow, &[]).unwrap();
    assert_eq!(all.len(), 1);
    let what_if = &all[0];
    assert!(what_if.error.abs() < 0.05 && what_if.refused.is_none(), "{what_if:?}");
    assert!((what_if.replay.0 - 0.96f64.powi(6)).abs() < 0.03);
    let prediction = &what_if.predictions[0];
    assert_eq!(prediction.turning.value, "1472");
    assert!(prediction.delivered.low <= 0.96 && 0.96 <= prediction.delivered.high, "{prediction:?}");
    assert_eq!(prediction.datagrams.1, 6 * prediction.datagrams.0);
    assert_eq!(prediction.packets.1, 6 * prediction.datagrams.0);
    // Each of the six has a UDP header of its own: 40 bytes more of 8128.
    let ratio = prediction.bytes.1 as f64 / prediction.bytes.0 as f64;
    assert!((1.003..1.008).contains(&ratio), "{ratio}");
}

#[test]
fn bursts_are_no_independent_losses_and_nothing_is_predicted_for_them() {
    let bursts =
        narrows_lab::GilbertElliott { to_bad: 0.01, to_good: 0.05, loss_in_good: 0.0, loss_in_bad: 1.0 };
    let flow = captured(Loss::GilbertElliott(bursts), 1_500, 3);
    let all = predict_datagrams(&flow, &[]).unwrap();
    assert!(all[0].refused.is_some() && all[0].predictions.is_empty(), "{all:?}");
    assert!(all[0].error < -0.10, "the model loses more datagrams: {}", all[0].error);
}

#[test]
fn where_nothing_is_missing_only_the_cost_is_predicted() {
    let flow = captured(Loss::None, 200, 3);
    let all = predict_datagrams(&flow, &["client.datagram_size=4000".parse().unwrap()]).unwrap();
    assert!(all[0].nothing_missing);
    let sizes: Vec<&str> = all[0].predictions.iter().map(|p| p.turning.value.as_str()).collect();
    assert_eq!(sizes, ["1472", "4000"]);
    for prediction in &all[0].predictions {
        let Share { before, after, low, high } = prediction.delivered;
        assert_eq!([before, after, low, high], [1.0; 4]);
    }
    assert_eq!(all[0].predictions[1].datagrams, (200, 400));
    assert_eq!(all[0].predictions[1].packets, (1_200, 1_200));
}

#[test]
fn other_knobs_are_none_of_datagrams_and_too_small_sizes_none_at_all() {
    let flow = captured(Loss::None, 50, 3);
    for asked in ["client.nodelay=true", "client.datagram_size=7"] {
        let parsed: Result<Turning, _> = asked.parse();
        if let Ok(turning) = parsed {
            assert!(predict_datagrams(&flow, &[turning]).is_err(), "{asked}");
        }
    }
    // The other side sends nothing in pieces.
    let of_server = predict_datagrams(&flow, &["server.datagram_size=500".parse().unwrap()]).unwrap();
    assert_eq!(of_server.len(), 1);
    assert_eq!(of_server[0].side, Side::Client);
}
