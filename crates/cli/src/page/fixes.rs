//! How is the knob turned on a real system? What one types, from the table of knobs.

use super::paper::Paper;
use narrows_whatif::WhatIf;

pub fn write(_: &mut Paper, _: &WhatIf) {}
