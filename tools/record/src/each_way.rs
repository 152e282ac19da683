//! Which value has each direction of a path? One for both, or `[client to server, server to client]`.

use serde::Deserialize;

/// A setting of a path, as it stands in a scenario.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
pub enum EachWay<T> {
    /// The same in both directions.
    Same(T),
    /// Client to server, server to client.
    Each([T; 2]),
}

impl<T: Copy> EachWay<T> {
    /// Client to server, server to client.
    pub fn both(self) -> [T; 2] {
        match self {
            EachWay::Same(value) => [value; 2],
            EachWay::Each(values) => values,
        }
    }
}

impl<T: Default> Default for EachWay<T> {
    fn default() -> Self {
        EachWay::Same(T::default())
    }
}
