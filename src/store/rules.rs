//! What a write may do with the firewall's rules.

use super::change::Change;
use super::state::Step;
use crate::domain::firewall::{End, FilterRule};
use crate::domain::refusal::Refusal;

impl Change {
    /// Stores a new firewall rule before or after all others.
    ///
    /// # Errors
    /// [`Refusal::RuleNameTaken`].
    pub fn add_rule(&mut self, rule: FilterRule, end: End) -> Result<(), Refusal> {
        if self.state.intended.firewall.rules.iter().any(|other| other.name == rule.name) {
            return Err(Refusal::RuleNameTaken);
        }
        let place = self.state.place_at(end);
        self.step(Step::Rule(place, rule));
        Ok(())
    }

    /// Removes a firewall rule.
    ///
    /// # Errors
    /// [`Refusal::RuleIsSystem`], [`Refusal::RuleNotFound`].
    pub fn remove_rule(&mut self, name: &str) -> Result<(), Refusal> {
        let rule = self.state.intended.firewall.rules.iter().find(|rule| rule.name.as_str() == name);
        let rule = rule.ok_or(Refusal::RuleNotFound)?;
        if rule.is_system() {
            return Err(Refusal::RuleIsSystem);
        }
        let name = rule.name.clone();
        self.step(Step::NoRule(name));
        Ok(())
    }

    /// Moves a firewall rule, so that as many others stand before it as `place` says; beyond the last it is the last. The
    /// rule that keeps the API reachable counts as one, and is moved by moving others past it.
    ///
    /// # Errors
    /// [`Refusal::RuleIsSystem`], [`Refusal::RuleNotFound`].
    pub fn move_rule(&mut self, name: &str, place: usize) -> Result<(), Refusal> {
        let mut rules = self.state.intended.firewall.rules.clone();
        let at = rules.iter().position(|rule| rule.name.as_str() == name).ok_or(Refusal::RuleNotFound)?;
        if rules[at].is_system() {
            return Err(Refusal::RuleIsSystem);
        }
        let rule = rules.remove(at);
        rules.insert(place.min(rules.len()), rule);
        let moved = self.state.displaced(&rules);
        // all of them are taken away before the first comes back, so that no two are ever at one place
        for (_, rule) in &moved {
            self.step(Step::NoRule(rule.name.clone()));
        }
        for (place, rule) in moved {
            self.step(Step::Rule(place, rule));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::change::tests::{change, rule, shown};

    fn names(change: &Change) -> Vec<&str> {
        change.intended().firewall.rules.iter().map(|rule| rule.name.as_str()).collect()
    }

    #[test]
    fn keeps_rules_in_their_order_around_the_one_that_keeps_the_api_reachable() {
        let mut change = change();
        for (name, end) in [("c", End::Bottom), ("b", End::Top), ("d", End::Bottom), ("a", End::Top)] {
            change.add_rule(rule(name), end).unwrap();
        }
        assert_eq!(names(&change), ["a", "b", "system_PUQVPNCP", "c", "d"]);
        change.remove_rule("c").unwrap();
        change.remove_rule("a").unwrap();
        change.add_rule(rule("e"), End::Top).unwrap();
        change.add_rule(rule("f"), End::Bottom).unwrap();
        assert_eq!(names(&change), ["e", "b", "system_PUQVPNCP", "d", "f"]);

        assert_eq!(change.remove_rule("system_PUQVPNCP"), Err(Refusal::RuleIsSystem));
        assert_eq!(change.remove_rule("a"), Err(Refusal::RuleNotFound));
        assert_eq!(change.add_rule(rule("b"), End::Top), Err(Refusal::RuleNameTaken));
    }

    #[test]
    fn moves_a_rule_to_any_place_past_the_one_that_keeps_the_api_reachable_too() {
        let mut change = change();
        for name in ["a", "b", "c", "d"] {
            change.add_rule(rule(name), End::Bottom).unwrap();
        }
        for (name, place, order) in [
            ("d", 1, ["system_PUQVPNCP", "d", "a", "b", "c"]),
            ("b", 0, ["b", "system_PUQVPNCP", "d", "a", "c"]),
            ("c", 0, ["c", "b", "system_PUQVPNCP", "d", "a"]),
            ("c", 1, ["b", "c", "system_PUQVPNCP", "d", "a"]),
            ("b", 99, ["c", "system_PUQVPNCP", "d", "a", "b"]),
            ("a", 3, ["c", "system_PUQVPNCP", "d", "a", "b"]),
        ] {
            change.move_rule(name, place).unwrap();

            assert_eq!(names(&change), order, "{name} to {place}");
            let places = &change.state.places;
            assert!(places.is_sorted_by(|one, other| one < other), "{places:?}");
            let system = order.iter().position(|name| *name == "system_PUQVPNCP").unwrap();
            assert_eq!(places[system], 0);
        }
        change.add_rule(rule("e"), End::Top).unwrap();
        change.add_rule(rule("f"), End::Bottom).unwrap();
        assert_eq!(names(&change), ["e", "c", "system_PUQVPNCP", "d", "a", "b", "f"]);
        assert_eq!(change.move_rule("system_PUQVPNCP", 0), Err(Refusal::RuleIsSystem));
        assert_eq!(change.move_rule("nobody", 0), Err(Refusal::RuleNotFound));
    }

    #[test]
    fn undoes_the_moves_of_rules() {
        let mut change = change();
        for (name, end) in [("a", End::Bottom), ("b", End::Top), ("c", End::Bottom)] {
            change.add_rule(rule(name), end).unwrap();
        }
        let (before, mark) = (shown(&change), change.mark());

        change.move_rule("c", 0).unwrap();
        change.move_rule("b", 99).unwrap();
        change.back_to(mark);

        assert_eq!(shown(&change), before);
    }
}
