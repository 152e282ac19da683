//! Is nothing lost, does nothing hang, does nothing leak on a link that loses, reorders and doubles packets? A small version of the example
//! `endurance`.

#[path = "../../examples/endurance/exchange.rs"]
mod exchange;
#[path = "../../examples/endurance/stream.rs"]
mod stream;
#[path = "../../examples/endurance/world.rs"]
mod world;

use exchange::{Counts, Ending};
use narrows_namespaces::permitted;
use world::{Opener, VERSIONS, World, bad_link};

const COUNTS: Counts = Counts { one_by_one: 100, at_once: 100, ending: None };

#[test]
fn connections_over_a_bad_link_end_in_every_way_and_leave_nothing() {
    if !permitted() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let world = World::new(Some(bad_link()), &runtime).unwrap();
    for version in 0..VERSIONS.len() {
        world.streams(&runtime, version, stream::blocks_of(2e6)).unwrap();
    }
    // All four ways; some connections stay at the host in TIME-WAIT.
    for opener in [Opener::Kernel, Opener::Us] {
        world.connections(&runtime, opener, COUNTS).unwrap();
        world.connections(&runtime, opener, COUNTS).unwrap();
    }
    // The kernel closes first, or somebody resets: nothing stays.
    let before = world.host.connections();
    for (opener, kernel_closes) in
        [(Opener::Kernel, Ending::ClientCloses), (Opener::Us, Ending::ServerCloses)]
    {
        for ending in [kernel_closes, Ending::ClientResets, Ending::ServerResets] {
            let counts = Counts { ending: Some(ending), ..COUNTS };
            world.connections(&runtime, opener, counts).unwrap();
            world.has_no_sockets(&runtime).unwrap();
            let after = world.host.connections();
            assert!(after <= before, "{opener:?}, {ending:?}: {after} connections instead of {before}");
        }
    }
    let harm = world.harm();
    assert!(harm.iter().all(|[_, _, held_up, doubled]| *held_up > 0 && *doubled > 0), "{harm:?}");
    assert!(harm.iter().map(|[_, lost, ..]| lost).sum::<u64>() > 0, "{harm:?}");
}
