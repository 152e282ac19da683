//! What does a packet take of Linux's memory beside its bytes? The sizes by which its send buffers are counted.

/// `struct sk_buff`, bytes.
pub(crate) const SK_BUFF: u64 = 256;
/// `struct skb_shared_info`, which stands behind the data, bytes.
pub(crate) const SHARED_INFO: u64 = 320;
/// MAX_TCP_HEADER, bytes: room before the data for headers of all kinds. It depends on the drivers that a kernel was built for; this is
/// that of the Linux 6.18 that the lab is held against, and 64 more with wireless ones.
const MAX_TCP_HEADER: u64 = 256;
/// Room for headers, and what stands behind the data: with TCP's segments always, and kept ready for short packets of others
/// (skb_small_head_cache).
pub(crate) const SMALL_HEAD: u64 = MAX_TCP_HEADER + SHARED_INFO;
