//! Devices, addresses, routes and rules.

use proptest::prelude::*;

use super::super::{CLIENTS, UPLINK};
use super::*;

fn preferences(found: &Found, v6: bool) -> Vec<u32> {
    let mut preferences: Vec<u32> =
        found.rules.iter().filter(|rule| rule.v6 == v6).map(|rule| rule.preference).collect();
    preferences.sort_unstable();
    preferences
}

#[test]
fn a_first_look_sets_up_everything_and_a_second_finds_nothing_to_do() {
    let mut found = host();

    let taken = conform(&wish(), &mut found);

    assert!(taken.len() > 10);
    // ours alone; over IPv6 nobody steers ICMP, and no port is forwarded
    assert_eq!(preferences(&found, false), [1, 1, 2, 3, 4, 4, 4, 5, 6]);
    assert_eq!(preferences(&found, true), [1, 1, 3, 4, 4, 5, 6]);
    let route = |table, to: &str| Route { table, to: to.parse().unwrap(), link: 7 };
    let mut routes = found.routes.clone();
    routes.sort_unstable();
    assert_eq!(
        routes,
        [route(UPLINK, "0.0.0.0/0"), route(UPLINK, "::/0"), route(CLIENTS, "10.0.0.0/24"), route(CLIENTS, "fd00::/64"),]
    );
    let ours: Vec<String> = found.addresses.iter().filter(|it| it.link == 8).map(|it| it.net.to_string()).collect();
    assert_eq!(ours, ["10.0.0.1/24", "fd00::1/64"]);
    assert!(["culvert0", "wg28"].iter().all(|name| found.links[*name].up));
    assert_eq!(steps(&wish(), &found), []);
}

/// Steering begins when everything is in its place, with one step: the kernel's rule goes last.
#[test]
fn the_kernels_local_rule_goes_after_all_else_and_comes_back_before_all_else() {
    let mut found = host();
    let begin = conform(&wish(), &mut found);
    assert_eq!(begin[begin.len() - 2..], [false, true].map(|v6| Step::RemoveRule(kernels_local(v6))));
    assert!(begin[begin.len() - 2..].iter().all(Step::begins_steering));
    assert!(!begin[..begin.len() - 2].iter().any(Step::begins_steering));
    let first_rule = begin.iter().find(|step| matches!(step, Step::AddRule(_))).unwrap();
    assert!(matches!(first_rule, Step::AddRule(rule) if rule.preference == 5), "what others jump to comes first");

    let end = conform(&Wish::default(), &mut found);

    assert_eq!(end[..2], [false, true].map(|v6| Step::AddRule(kernels_local(v6))));
    assert_eq!(found.rules, [kernels_local(false), kernels_local(true)]);
    assert_eq!((found.routes.len(), found.addresses.len()), (0, 3), "addresses go with their devices");
}

/// A crash leaves rules; devices, their routes and addresses are gone with the process.
#[test]
fn leftovers_of_a_crash_are_taken_up_by_the_next_start() {
    let mut found = steered();
    let rules = found.rules.clone();
    found.routes.clear();
    found.addresses.retain(|address| address.link == 2);
    found.links.retain(|_, link| link.index == 2);
    // the devices come back with other numbers
    found.links.extend([opened(17, "culvert0"), opened(18, "wg28")]);

    let taken = conform(&wish(), &mut found);

    assert_eq!(found.rules, rules, "no rule was touched");
    assert!(found.routes.len() == 4 && found.routes.iter().all(|route| route.link == 17));
    assert!(!taken.iter().any(|step| matches!(step, Step::AddRule(_) | Step::RemoveRule(_))));
    assert_eq!(steps(&wish(), &found), []);
}

/// While the uplink's device is not there, the host is as it was without us.
#[test]
fn without_the_uplinks_device_nothing_is_steered() {
    let mut found = steered();
    found.links.remove("culvert0");
    found.routes.clear();

    conform(&wish(), &mut found);

    assert_eq!(found.rules, [kernels_local(false), kernels_local(true)]);
}

#[test]
fn what_another_program_has_put_there_stays() {
    let others = [foreign(0), foreign(4), foreign(77), Rule { protocol: 0, ..kernels_local(false) }];
    let mut found = host();
    found.rules.extend(others.clone());
    for wish in [wish(), Wish::default()] {
        conform(&wish, &mut found);
        assert!(others.iter().all(|rule| found.rules.contains(rule)), "{wish:?}");
    }
    assert!(found.addresses.iter().any(|address| address.link == 2));
}

#[test]
fn what_somebody_has_taken_away_is_put_back() {
    let whole = steered();
    for nth in 0..whole.rules.len() {
        let mut found = whole.clone();
        let rule = found.rules.remove(nth);
        if rule.preference != 5 {
            let taken = conform(&wish(), &mut found);
            assert_eq!(taken, [Step::AddRule(rule)]);
        }
    }
    for nth in 0..whole.routes.len() {
        let mut found = whole.clone();
        let route = found.routes.remove(nth);
        assert_eq!(conform(&wish(), &mut found), [Step::AddRoute(route)]);
    }
    for name in ["culvert0", "wg28"] {
        let mut found = whole.clone();
        found.links.get_mut(name).unwrap().up = false;
        assert!(matches!(conform(&wish(), &mut found)[..], [Step::SetUp { .. }]));
    }
}

/// Another program, or a flush, has put the kernel's rule back beside ours.
#[test]
fn the_kernels_rule_is_moved_again_where_somebody_has_put_it_back() {
    let mut found = steered();
    found.rules.push(kernels_local(false));
    assert_eq!(conform(&wish(), &mut found), [Step::RemoveRule(kernels_local(false))]);
}

/// The host lost its own rule and ours stands in for it: the end puts the kernel's back, whoever took it.
#[test]
fn a_rule_that_is_there_twice_is_removed_once() {
    let mut found = steered();
    let twice = found.rules[0].clone();
    found.rules.push(twice.clone());
    assert_eq!(steps(&wish(), &found), [Step::RemoveRule(twice)]);
}

#[test]
fn an_edit_changes_what_it_names_and_nothing_else() {
    let mut found = steered();
    let mut edited = wish();
    edited.forwards.clear();
    edited.servers[0].addresses[0] = "10.9.0.1/16".parse().unwrap();
    edited.servers[0].mtu = 1_280;

    let taken = conform(&edited, &mut found);

    let net = |text: &str| Address { link: 8, net: text.parse().unwrap() };
    let route = |to: &str| Route { table: CLIENTS, to: to.parse().unwrap(), link: 7 };
    assert!(matches!(&taken[0], Step::RemoveRule(rule) if rule.ports == Some(443..=443)));
    assert_eq!(
        taken[1..],
        [
            Step::RemoveRoute(route("10.0.0.0/24")),
            Step::RemoveAddress(net("10.0.0.1/24")),
            Step::SetUp { link: 8, mtu: 1_280 },
            Step::AddAddress(net("10.9.0.1/16")),
            Step::AddRoute(route("10.9.0.0/16")),
        ]
    );
}

/// An address that is routed here is all the NAT's: a route leads to the uplink, and the kernel's rule stays where it is.
#[test]
fn a_routed_address_needs_a_route_and_no_other_place_of_the_local_rule() {
    let mut routed = wish();
    routed.externals = [(address("192.0.2.33"), Reached::Routed)].into();
    routed.forwards.clear();
    let mut found = host();

    conform(&routed, &mut found);

    assert!(found.routes.contains(&Route { table: MAIN, to: "192.0.2.33/32".parse().unwrap(), link: 7 }));
    assert_eq!(preferences(&found, false), [0, 6]);
    assert_eq!(steps(&routed, &found), []);
}

/// Nothing can be handed back by a host that does not forward, so nothing is steered until it does.
#[test]
fn a_host_that_does_not_forward_is_left_alone() {
    let mut found = host();
    found.forwards = [false, true];
    conform(&wish(), &mut found);
    assert_eq!(preferences(&found, false), [0]);
    assert_eq!(preferences(&found, true), [1, 1, 3, 4, 4, 5, 6]);

    found.forwards = [true, true];
    conform(&wish(), &mut found);
    assert_eq!(found.rules.len(), steered().rules.len());

    let mut off = wish();
    off.forwarding = false;
    conform(&off, &mut found);
    assert_eq!((found.rules.len(), found.routes.len()), (2, 0));
}

/// What nobody forwarded of a shared address never leaves the host's own sockets.
#[test]
fn only_the_nats_ports_and_the_forwarded_ones_are_steered() {
    let found = steered();
    let steered: Vec<(u8, (u16, u16))> = found
        .rules
        .iter()
        .filter(|rule| !rule.v6 && rule.action == Action::Table(UPLINK))
        .filter_map(|rule| rule.ports.as_ref().map(|ports| (rule.carries.unwrap(), (*ports.start(), *ports.end()))))
        .collect();
    assert_eq!(steered, [(6, (16_384, 51_819)), (17, (16_384, 51_819)), (6, (443, 443))]);
    assert!(found.rules.iter().filter(|rule| rule.action == Action::Table(UPLINK)).all(|rule| rule.to.is_some()));
}

fn any_rule() -> impl Strategy<Value = Rule> {
    (any::<bool>(), 0_u32..8, prop_oneof![Just(PROTOCOL), Just(2), Just(4)], 0_usize..4, any::<bool>()).prop_map(
        |(v6, preference, protocol, kind, is_for_lo)| {
            let action = [Action::Table(LOCAL), Action::Table(UPLINK), Action::Goto(5), Action::Table(CLIENTS)][kind];
            let plain = kernels_local(v6);
            let input = (is_for_lo && kind != 0).then(|| "lo".to_owned());
            Rule { preference, protocol, action, input, ..plain }
        },
    )
}

proptest! {
    /// Whatever is there, one look makes it so, a second has nothing to do, nobody else's is touched, and at no moment does
    /// the host lose its own addresses.
    #[test]
    fn any_state_is_healed_in_one_look(
        mut extra in proptest::collection::vec(any_rule(), 0..12), has_kernels in any::<[bool; 2]>(),
        has_uplink in any::<bool>(), forwards in any::<[bool; 2]>(), is_stop in any::<bool>(),
    ) {
        extra.dedup();
        let mut found = host();
        found.forwards = forwards;
        for v6 in [false, true] {
            if !has_kernels[usize::from(v6)] {
                found.rules.retain(|rule| *rule != kernels_local(v6));
            }
        }
        for rule in extra {
            if !found.rules.contains(&rule) {
                found.rules.push(rule);
            }
        }
        // a host that has lost itself before we came is no matter of ours
        prop_assume!(has_local(&found, false) && has_local(&found, true));
        if !has_uplink {
            found.links.remove("culvert0");
        }
        let others = |found: &Found| -> Vec<Rule> {
            let is_others = |rule: &&Rule| rule.protocol != PROTOCOL && **rule != kernels_local(rule.v6);
            found.rules.iter().filter(is_others).cloned().collect()
        };
        let before = others(&found);
        let wish = if is_stop { Wish::default() } else { wish() };

        conform(&wish, &mut found);

        prop_assert_eq!(steps(&wish, &found), []);
        prop_assert_eq!(others(&found), before);
        if is_stop {
            prop_assert!(found.rules.iter().all(|rule| rule.protocol != PROTOCOL));
        }
    }
}
