use super::*;

fn ordinary() -> Asked {
    Asked {
        option: 1460,
        peer_option: 1460,
        headers: 40,
        used: 1500,
        segments: 100,
        constant: true,
        ..Asked::default()
    }
}

#[test]
fn an_option_that_does_not_fit_its_window_was_rewritten() {
    let rewritten = Asked { option: 1410, before: Some(1460), number: 1, used: 1450, ..ordinary() };
    let found = finding([ordinary(), rewritten], 10).unwrap();
    assert_eq!((found.cause, found.side, found.evidence), (Cause::MssClamped, Side::Client, vec![11]));
    assert_eq!((found.confidence, found.path_mtu.unwrap().most), (Confidence::High, 1450));
}

#[test]
fn segments_smaller_than_both_asked_for_show_it_at_the_other_end() {
    let asked = Asked { used: 1340, first_used: 5, ..ordinary() };
    let found = finding([ordinary(), asked], 10).unwrap();
    assert_eq!((found.side, found.confidence, found.evidence), (Side::Client, Confidence::Medium, vec![15]));
    for other in [
        Asked { explained: true, ..asked },
        Asked { constant: false, ..asked },
        Asked { segments: 3, ..asked },
        Asked { option: 1300, ..asked },
        Asked { peer_option: 1300, ..asked },
        Asked { option: 0, ..asked },
        // A sender whose options leave a little less.
        Asked { used: 1500, ..asked },
    ] {
        assert_eq!(finding([ordinary(), other], 10), None, "{other:?}");
    }
}
