//! What is asked of `narrows path`? Its part of the command line.

use clap::Args;
use narrows_probe::{Options, Target, Version};
use std::time::Duration;

/// Shown at the end of the help.
pub const EXAMPLES: &str = "\
Examples:
  What does the path to a server carry, and does TCP know?
    narrows path example.com:443
  The same over IPv6, with everything that raw sockets permit:
    sudo narrows path --ipv6 example.com:443
  Both directions without privileges, with requests to a web server, for scripts:
    narrows path example.com:80 --http --json";

/// Shown at the end of the long help.
pub const EXIT_STATUS: &str = "\
Exit status:
  0  nothing is wrong (a narrow path alone is not)
  1  findings: packets that are too large vanish
  2  unusable arguments, no such host, or nothing comes back
  3  not permitted; the message has the command that permits it";

/// The arguments of `path`.
#[derive(Clone, Debug, Args)]
pub struct PathArguments {
    /// Who: a name or an address, and the TCP port to connect to; without a port, 443 and 80 are tried
    #[arg(value_name = "HOST[:PORT]")]
    pub target: Target,

    /// Use IPv4 only
    #[arg(long, short = '4', conflicts_with = "ipv6", help_heading = "What to measure")]
    pub ipv4: bool,

    /// Use IPv6 only
    #[arg(long, short = '6', help_heading = "What to measure")]
    pub ipv6: bool,

    /// Measure with HTTP requests to the port, too: both directions with real data, without privileges
    ///
    /// Some dozens of connections with a GET of / each, padded by a header. Only for ports that speak HTTP without TLS.
    #[arg(long, help_heading = "What to measure")]
    pub http: bool,

    /// Do not use raw sockets, even where they are permitted
    #[arg(long, help_heading = "What to measure")]
    pub no_raw: bool,

    /// Give up after so many seconds, and show what is known then
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600), help_heading = "What to measure")]
    pub timeout: u64,

    /// Print JSON (schema narrows.path/1)
    #[arg(long, help_heading = "Output")]
    pub json: bool,
}

impl PathArguments {
    /// What the measurement shall do.
    pub fn options(&self) -> Options {
        let version = match (self.ipv4, self.ipv6) {
            (true, _) => Version::V4,
            (_, true) => Version::V6,
            _ => Version::Any,
        };
        Options {
            version,
            http: self.http,
            raw: !self.no_raw,
            time_limit: Duration::from_secs(self.timeout),
            ..Options::new(self.target.clone())
        }
    }
}
