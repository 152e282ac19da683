//! What does a whole capture hold? Reading and analysis in one pass.

use crate::read::{Capture, Counts, PacketHeaders, Progress, ReadError};
use crate::sorting::{Carried, Sorting};
use crate::{Analysis, Analyzer, AnalyzerOptions, DatagramFlow};

/// How many packets are worked off between two looks at the progress.
const PACKETS_PER_LOOK: u64 = 65_536;

/// What a capture holds.
#[derive(Debug)]
pub struct Examined {
    /// Connections and findings.
    pub analysis: Analysis,
    /// UDP flows, by first packet.
    pub datagram_flows: Vec<DatagramFlow>,
    /// Packets of other kinds that carried the connections' segments.
    pub carried: Carried,
    /// What was read, and what was left out.
    pub counts: Counts,
    /// Where the capture could not be read any further; everything before holds.
    pub error: Option<ReadError>,
}

/// Reads a capture to its end and analyses its TCP connections; `look` is shown the progress now and then.
///
/// ```
/// use narrows_trace::{AnalyzerOptions, examine, read::Capture};
///
/// // A capture file in classic pcap format that holds no packet.
/// let empty: &[u8] = &[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0];
/// let capture = Capture::from_reader(std::io::Cursor::new(empty.to_vec()), "empty.pcap")?;
/// let examined = examine(capture, AnalyzerOptions::default(), &mut |_| {});
/// assert!(examined.error.is_none() && examined.analysis.connections.is_empty());
/// # Ok::<(), narrows_trace::read::ReadError>(())
/// ```
pub fn examine(capture: Capture, options: AnalyzerOptions, look: &mut dyn FnMut(&Progress)) -> Examined {
    let mut packets = PacketHeaders::new(capture);
    let mut sorting = Sorting::new(Analyzer::new(options));
    let mut error = None;
    let mut until_look = PACKETS_PER_LOOK;
    while let Some(packet) = packets.next_packet() {
        match packet {
            Ok(packet) => sorting.take(&packet),
            Err(damage) => error = Some(damage),
        }
        until_look -= 1;
        if until_look == 0 {
            until_look = PACKETS_PER_LOOK;
            look(&packets.progress());
        }
    }
    sorting.finish();
    Examined {
        analysis: sorting.analyzer.finish(),
        datagram_flows: sorting.datagrams.finish(),
        carried: sorting.carried,
        counts: *packets.counts(),
        error,
    }
}
