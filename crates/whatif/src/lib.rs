//! What would this connection be like with that knob turned?
//!
//! `trace::Connection` → model → `lab::World` → [`Prediction`]. The model is first replayed as found; how far that is
//! from the capture is the model error, and above [`MODEL_ERROR_LIMIT`] nothing is predicted.

mod prediction;

pub use prediction::*;
