//! What would this connection be like with that knob turned?
//!
//! `trace::Connection` → model → `lab::World` → [`Prediction`]. The model is first replayed as found; how far that is
//! from the capture is the model error, and above [`MODEL_ERROR_LIMIT`] nothing is predicted.

mod fit;
mod model;
mod predict;
mod prediction;
mod replay;
mod turn;

pub use model::{End, Model, Observed, Refusal};
pub use predict::predict;
pub use prediction::*;
pub use turn::{TurnError, turnings_for};
