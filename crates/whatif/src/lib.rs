//! What would this connection be like with that knob turned?
//!
//! `trace::Connection` → model → `lab::World` → [`Prediction`]. The model is first replayed as found; how far that is
//! from the capture is the model error, and above [`MODEL_ERROR_LIMIT`] nothing is predicted.
//!
//! ```
//! use narrows_trace::{AnalyzerOptions, examine, read::Capture};
//! use narrows_whatif::predict;
//!
//! let capture = Capture::open(concat!(env!("CARGO_MANIFEST_DIR"), "/../../captures/slow-rpc.pcap"))?;
//! let examined = examine(capture, AnalyzerOptions::default(), &mut |_| {});
//! let what_if = predict(&examined.analysis.connections[0], &["client.nodelay=true".parse()?])?;
//! assert!(what_if.replay.is_some_and(|replay| replay.error.abs() < 0.05));
//! let nodelay = &what_if.predictions[0];
//! assert!(nodelay.duration.after * 4 < nodelay.duration.before);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod afterwards;
mod fit;
mod model;
mod path;
mod predict;
mod prediction;
mod replay;
mod scenario;
mod turn;

pub use afterwards::Afterwards;
pub use model::{End, Model, Observed, Refusal, Unfinished};
pub use path::{Narrow, Sizes};
pub use predict::predict;
pub use prediction::*;
pub use scenario::scenario_of;
pub use turn::{TurnError, turnings_for};
