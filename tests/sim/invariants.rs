//! What always holds, a sentence each. Every function takes what was seen and tells what is wrong with it.

use std::collections::BTreeMap;

use culvert::engine::dataplane::verdict::DropReason;

use crate::record::{Ends, Fill, Named, Passage, Passed, Portrait, Reply, Sight, Trace};

/// What is wrong, for people.
pub(crate) type Verdict = Result<(), String>;

fn hold(is_true: bool, otherwise: impl FnOnce() -> String) -> Verdict {
    if is_true { Ok(()) } else { Err(otherwise()) }
}

/// In is out, dropped for a reason that is counted, or held.
pub(crate) fn every_packet_has_exactly_one_end(ends: &Ends) -> Verdict {
    let (came, went) = (ends.entered + ends.made, ends.left + ends.dropped);
    hold(went + ends.waiting <= came + ends.pieces, || format!("more ended than came: {ends:?}"))?;
    hold(came <= went + ends.waiting + ends.may_wait, || format!("some have no end: {ends:?}"))
}

pub(crate) fn a_client_never_sees_anothers_traffic(sight: &Sight) -> Verdict {
    hold(sight.addressed_to == Some(sight.viewer), || format!("not for the address of its own: {sight:?}"))?;
    hold(sight.meant_for.contains(&sight.viewer), || format!("meant for somebody else: {sight:?}"))
}

/// Over any window: what goes drains a bucket that fills at the rate.
pub(crate) fn bytes_over_any_window_stay_within_rate_and_burst(passed: &Passed) -> Verdict {
    if passed.rate == 0 {
        return Ok(());
    }
    let (mut level, mut last) = (0_u128, std::time::Duration::ZERO);
    for (at, bytes) in &passed.bytes {
        // in bytes a billion times
        let drained = u128::from(passed.rate) * at.saturating_sub(last).as_nanos();
        level = level.saturating_sub(drained) + u128::from(*bytes) * 1_000_000_000;
        last = *at;
        // an instant is rounded to the nanosecond
        let allowed = u128::from(passed.burst) * 1_000_000_000 + u128::from(passed.rate);
        hold(level <= allowed, || {
            format!(
                "{} bytes more than {} may go at once at {at:?} ({} a second)",
                level / 1_000_000_000,
                passed.burst,
                passed.rate
            )
        })?;
    }
    Ok(())
}

pub(crate) fn the_nat_gives_no_outside_tuple_to_two_inside_ones(named: &[Named]) -> Verdict {
    let mut inside = BTreeMap::new();
    for name in named {
        let before = inside.insert(name.outside, name.inside);
        hold(before.is_none_or(|before| before == name.inside), || format!("{name:?} and {before:?}"))?;
    }
    Ok(())
}

/// What has nothing to do with the rules: room and time that somebody has used up, and a link that has to begin anew.
fn is_excused(reason: DropReason) -> bool {
    use DropReason as R;
    let of_room = matches!(
        reason,
        R::FlowRate
            | R::FlowsOfOwnerFull
            | R::HalfOpenFull
            | R::FlowTableFull
            | R::MappingsOfOwnerFull
            | R::PortsExhausted
            | R::ShaperFull
            | R::ShaperDelay
            | R::QueueFull
            | R::OutboxFull
            | R::HandOverFull
            | R::FragmentUnfit
    );
    of_room || is_of_the_link(reason) || reason == R::NoEndpoint
}

/// Whether a datagram was refused before what is in it was looked at.
pub(crate) fn is_of_the_link(reason: DropReason) -> bool {
    use DropReason as R;
    matches!(
        reason,
        R::UnknownIndex
            | R::Replayed
            | R::SessionOld
            | R::Unauthentic
            | R::UnknownPeer
            | R::PeerLimited
            | R::Unexpected
    )
}

pub(crate) fn a_reply_of_an_allowed_flow_comes_back(reply: &Reply) -> Verdict {
    let ought_to = reply.is_allowed && reply.is_alive;
    let is_lost = reply.was_unknown || reply.dropped.is_some_and(|reason| !is_excused(reason));
    hold(!(ought_to && is_lost), || format!("{reply:?}"))
}

/// Also on flows that were open when the rules changed.
pub(crate) fn nothing_passes_that_the_present_rules_forbid(passage: &Passage) -> Verdict {
    hold(passage.allowed.contains(&true), || format!("{passage:?}"))
}

pub(crate) fn a_disabled_account_gets_nothing_through(passage: &Passage) -> Verdict {
    hold(passage.enabled, || format!("{passage:?}"))
}

pub(crate) fn what_goes_on_is_a_sound_packet(passage: &Passage) -> Verdict {
    passage.flaw.clone().map_or(Ok(()), Err)
}

pub(crate) fn the_same_changes_twice_are_as_good_as_once(once: &Portrait, twice: &Portrait) -> Verdict {
    same(once, twice)
}

/// Save for flows: what is asked anew is answered alike.
pub(crate) fn a_restart_is_as_good_as_never_having_stopped(ran_on: &Portrait, began_anew: &Portrait) -> Verdict {
    same(ran_on, began_anew)
}

fn same(one: &Portrait, other: &Portrait) -> Verdict {
    let differs = |key: &&String| one.0.get(*key) != other.0.get(*key);
    let different = one.0.keys().chain(other.0.keys()).find(differs);
    different.map_or(Ok(()), |key| Err(format!("{key}: {:?}, but {:?}", one.0.get(key), other.0.get(key))))
}

pub(crate) fn the_same_seed_leaves_the_same_trace(one: Trace, other: Trace) -> Verdict {
    hold(one == other, || format!("{one:?}, but {other:?}"))
}

pub(crate) fn tables_stay_within_their_limits(fill: &Fill) -> Verdict {
    let over = fill.0.iter().find(|(_, is, limit)| is > limit);
    over.map_or(Ok(()), |(what, is, limit)| Err(format!("{is} {what} where {limit} may be")))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use culvert::engine::wire::FlowKey;

    use super::*;

    fn named(outside: &str, inside: &str) -> Named {
        let key = |to: &str| FlowKey {
            protocol: 17,
            source: "192.0.2.1:7".parse().unwrap(),
            destination: to.parse().unwrap(),
        };
        Named { outside: key(outside), inside: (0, 0, 0, key(inside)) }
    }

    #[test]
    fn a_packet_without_an_end_is_seen() {
        let whole = Ends { entered: 9, made: 1, left: 5, dropped: 3, waiting: 2, may_wait: 0, pieces: 0 };
        assert_eq!(every_packet_has_exactly_one_end(&whole), Ok(()));
        assert!(every_packet_has_exactly_one_end(&Ends { entered: 10, ..whole }).is_err());
        assert!(every_packet_has_exactly_one_end(&Ends { left: 6, ..whole }).is_err());
    }

    #[test]
    fn anothers_traffic_is_seen() {
        let own = Sight { viewer: 1, addressed_to: Some(1), meant_for: vec![1] };
        assert_eq!(a_client_never_sees_anothers_traffic(&own), Ok(()));
        assert!(a_client_never_sees_anothers_traffic(&Sight { meant_for: vec![2], ..own }).is_err());
        assert!(a_client_never_sees_anothers_traffic(&Sight { addressed_to: Some(2), ..own.clone() }).is_err());
        assert!(a_client_never_sees_anothers_traffic(&Sight { meant_for: Vec::new(), ..own }).is_err());
    }

    #[test]
    fn bytes_above_the_rate_are_seen() {
        let at = |millis: u64, bytes: u64| (Duration::from_millis(millis), bytes);
        let slow = Passed { rate: 125_000, burst: 3_000, bytes: vec![at(0, 3_000), at(12, 1_500), at(24, 1_500)] };
        assert_eq!(bytes_over_any_window_stay_within_rate_and_burst(&slow), Ok(()));
        let fast = Passed { bytes: vec![at(0, 3_000), at(12, 1_500), at(13, 1_500)], ..slow };
        assert!(bytes_over_any_window_stay_within_rate_and_burst(&fast).is_err());
        let unlimited = Passed { rate: 0, ..fast };
        assert_eq!(bytes_over_any_window_stay_within_rate_and_burst(&unlimited), Ok(()));
    }

    #[test]
    fn an_outside_tuple_of_two_is_seen() {
        let (one, other) = (named("203.0.113.1:20000", "10.0.0.2:5000"), named("203.0.113.1:20001", "10.0.0.2:5001"));
        assert_eq!(the_nat_gives_no_outside_tuple_to_two_inside_ones(&[one, other, one]), Ok(()));
        let thief = named("203.0.113.1:20000", "10.0.0.3:5000");
        assert!(the_nat_gives_no_outside_tuple_to_two_inside_ones(&[one, other, thief]).is_err());
    }

    #[test]
    fn a_lost_reply_is_seen_and_its_excuse_accepted() {
        let back = Reply { is_allowed: true, is_alive: true, dropped: None, was_unknown: false };
        let lost = |dropped: DropReason| Reply { dropped: Some(dropped), ..back.clone() };
        assert_eq!(a_reply_of_an_allowed_flow_comes_back(&back), Ok(()));
        assert_eq!(a_reply_of_an_allowed_flow_comes_back(&lost(DropReason::ShaperFull)), Ok(()));
        assert!(a_reply_of_an_allowed_flow_comes_back(&lost(DropReason::NotMapped)).is_err());
        assert!(a_reply_of_an_allowed_flow_comes_back(&Reply { was_unknown: true, ..back.clone() }).is_err());
        let forbidden = Reply { is_allowed: false, ..lost(DropReason::Filtered) };
        assert_eq!(a_reply_of_an_allowed_flow_comes_back(&forbidden), Ok(()));
        let late = Reply { is_alive: false, ..lost(DropReason::NotMapped) };
        assert_eq!(a_reply_of_an_allowed_flow_comes_back(&late), Ok(()));
    }

    #[test]
    fn a_forbidden_a_disabled_and_a_broken_packet_are_seen() {
        let sound = Passage { allowed: vec![false, true], enabled: true, flaw: None };
        assert_eq!(nothing_passes_that_the_present_rules_forbid(&sound), Ok(()));
        assert_eq!(a_disabled_account_gets_nothing_through(&sound), Ok(()));
        assert_eq!(what_goes_on_is_a_sound_packet(&sound), Ok(()));
        let forbidden = Passage { allowed: vec![false, false], ..sound.clone() };
        assert!(nothing_passes_that_the_present_rules_forbid(&forbidden).is_err());
        assert!(a_disabled_account_gets_nothing_through(&Passage { enabled: false, ..sound.clone() }).is_err());
        assert!(what_goes_on_is_a_sound_packet(&Passage { flaw: Some("broken".into()), ..sound }).is_err());
    }

    #[test]
    fn a_difference_between_two_boxes_is_seen() {
        let portrait = |text: &str| Portrait([("peer_1".to_owned(), text.to_owned())].into());
        for judge in [the_same_changes_twice_are_as_good_as_once, a_restart_is_as_good_as_never_having_stopped] {
            assert_eq!(judge(&portrait("out"), &portrait("out")), Ok(()));
            assert!(judge(&portrait("out"), &portrait("refused")).is_err());
            assert!(judge(&portrait("out"), &Portrait::default()).is_err());
        }
    }

    #[test]
    fn another_trace_is_seen() {
        let trace = |bytes: &[u8]| {
            let mut trace = Trace::BEGIN;
            trace.note(bytes);
            trace
        };
        assert_eq!(the_same_seed_leaves_the_same_trace(trace(b"abc"), trace(b"abc")), Ok(()));
        for other in [&b"abd"[..], b"abc\0", b"ab", b""] {
            assert!(the_same_seed_leaves_the_same_trace(trace(b"abc"), trace(other)).is_err(), "{other:?}");
        }
    }

    #[test]
    fn an_overfull_table_is_seen() {
        assert_eq!(tables_stay_within_their_limits(&Fill(vec![("flows", 2, 2)])), Ok(()));
        assert!(tables_stay_within_their_limits(&Fill(vec![("flows", 2, 2), ("ports", 3, 2)])).is_err());
    }
}
