//! What a Linux 6.18 capture shows, packet by packet: a client that writes twice and waits for the answer.

mod pair;

use narrows_stack::Knobs;
use pair::*;

/// Flags and payload of the first packets of such a conversation; round trip 1 ms, timers of 250 Hz.
#[test]
fn write_write_read_looks_as_on_linux() {
    let mut pair = Pair::new(false, std::time::Duration::from_micros(500));
    let [client, server] = pair.connect(Knobs::default(), Knobs::default());
    for _ in 0..3 {
        pair.write(CLIENT, client, 12);
        pair.write(CLIENT, client, 180);
        let (mut asked, mut answered) = (0, 0);
        while answered < 64 {
            assert!(pair.step(pair.now + ms(1000)));
            asked += pair.read(SERVER, server).len();
            if asked == 192 {
                asked = 0;
                pair.write(SERVER, server, 64);
            }
            answered += pair.read(CLIENT, client).len();
        }
    }
    let shown: Vec<String> =
        pair.log.iter().map(|seen| line(seen).split(' ').skip(1).collect::<Vec<_>>().join(" ")).collect();
    let expected = [
        "> S 0", "< S. 0", "> . 0", // The first round: quick ACKs on both sides.
        "> P. 12", "< . 0", "> P. 180", "< . 0", "< P. 64", "> . 0",
        // Then the answers have made both sides interactive: the first write's ACK is delayed.
        "> P. 12", "< . 0", "> P. 180", "< . 0", "< P. 64", "> P. 12", "< . 0", "> P. 180", "< . 0",
        "< P. 64",
    ];
    assert_eq!(shown[..expected.len()], expected);
    let windows: Vec<u16> = pair.log[2..7].iter().map(|seen| seen.tcp().window).collect();
    assert_eq!(windows, [63, 63, 64, 63, 64]);
}
